import type { Problem } from './config/problem.ts';
import type { Contract } from './load.ts';

/** An answer that takes longer is none. */
const PATIENCE_MS = 3_000;

/** What the world says of the configuration: whether Consul answers and knows the services, and whether instances do. */
export async function askOnline({ gateway, routes, texts }: Contract): Promise<Problem[]> {
  if (gateway === undefined || routes === undefined) return [];
  const [gatewayFile = '', routesFile = ''] = texts.keys();
  const { consul, local, static: fixed } = gateway.discovery;
  const elsewhere = new Set([...local, ...fixed, ...routes.statics].map(({ service }) => service));
  const toldBy = (file: string, path: string) => (message: string) => toProblem(file, path, message);
  const asked = [...fixed, ...routes.statics].flatMap(({ service, instances }) =>
    instances.map(origin =>
      askInstance(`${origin}${routes.policyOf(service).health.path}`, toldBy(routesFile, service)),
    ),
  );
  if (consul !== undefined) {
    const headers: Record<string, string> =
      consul.token === undefined ? {} : { 'X-Consul-Token': consul.token.reveal() };
    const tell = toldBy(gatewayFile, 'discovery.consul');
    for (const service of routes.services.keys()) {
      if (elsewhere.has(service)) continue;
      const query = consul.datacenter === undefined ? '' : `?dc=${encodeURIComponent(consul.datacenter)}`;
      const url = `${consul.address}/v1/health/service/${encodeURIComponent(service)}${query}`;
      asked.push(askConsul({ url, headers, service }, tell));
    }
  }
  return (await Promise.all(asked)).filter(problem => problem !== undefined);
}

type Tell = (message: string) => Problem;

function toProblem(file: string, path: string, message: string): Problem {
  return { file, line: 1, column: 1, severity: 'warning', path, message, hint: undefined };
}

async function askInstance(url: string, tell: Tell): Promise<Problem | undefined> {
  const answer = await ask(url, {});
  if (answer instanceof Response) {
    await answer.body?.cancel();
    return answer.ok ? undefined : tell(`${url} answers ${answer.status}`);
  }
  return tell(`${url} does not answer: ${answer}`);
}

interface ServiceAsked {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly service: string;
}

async function askConsul({ url, headers, service }: ServiceAsked, tell: Tell): Promise<Problem | undefined> {
  const answer = await ask(url, headers);
  if (!(answer instanceof Response)) return tell(`Consul does not answer: ${answer}`);
  if (!answer.ok) {
    await answer.body?.cancel();
    return tell(`Consul answers ${answer.status} when asked for ${service}`);
  }
  const listed: unknown = await answer.json().catch(() => undefined);
  return Array.isArray(listed) && listed.length > 0 ? undefined : tell(`Consul knows no instance of ${service}`);
}

/** The answer, or in a word why there is none. */
async function ask(url: string, headers: Record<string, string>): Promise<Response | string> {
  try {
    return await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    const { cause, name } = error as Error & { cause?: { code?: unknown } };
    return typeof cause?.code === 'string' ? cause.code : name;
  }
}
