import type { Readiness } from '../../gateway/domain/operating/life.ts';
import type { InstanceView, ServiceView } from '../../gateway/domain/service.ts';
import { call, type Received } from './call.ts';
import { until } from './until.ts';

/** What an operator sees and does through the admin listener. */
export interface Operator {
  readonly adminUrl: string;
  get(path: string): Promise<Received>;
  readyz(): Promise<{ readonly status: number; readonly body: Readiness }>;
  services(): Promise<readonly ServiceView[]>;
  service(name: string): Promise<ServiceView>;
  instance(service: string, id: string): Promise<InstanceView>;
  /** Waits until the instance has nothing in hand. */
  untilIdleAt(service: string, id: string): Promise<void>;
  order(service: string, id: string, order: 'eject' | 'readmit' | 'drain'): Promise<Received>;
  reload(): Promise<Received>;
  /** The sum of a metric's series with these labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Waits until no permit, stream or place in a queue is taken, and no request is in flight. */
  untilIdle(waitMsMax?: number): Promise<void>;
}

/** The operator of the gateway whose admin listener is there. */
export function operatorOf(adminUrl: string, headers: Readonly<Record<string, string>> = {}): Operator {
  const get = (path: string) => call(`${adminUrl}${path}`, { headers });
  const services = async () => JSON.parse((await get('/api/services')).text) as ServiceView[];
  const service = async (name: string) => {
    const found = (await services()).find(view => view.service === name);
    if (found === undefined) throw new Error(`no service ${name}`);
    return found;
  };
  const metric = async (name: string, labels: Readonly<Record<string, string>> = {}) =>
    sumOf((await get('/metrics')).text, name, labels);

  const instance = async (name: string, id: string) => {
    const found = (await service(name)).instances.find(view => view.id === id);
    if (found === undefined) throw new Error(`no instance ${id} of ${name}`);
    return found;
  };

  return {
    adminUrl,
    get,
    services,
    service,
    instance,
    metric,
    async readyz() {
      const { status, text } = await get('/readyz');
      return { status, body: JSON.parse(text) as Readiness };
    },
    untilIdleAt: (name, id) =>
      until(async () => (await instance(name, id)).inFlight === 0, `${id} has nothing in hand`),
    order: (name, id, order) =>
      call(`${adminUrl}/api/services/${name}/instances/${encodeURIComponent(id)}/${order}`, {
        method: 'POST',
        headers,
      }),
    reload: () => call(`${adminUrl}/api/reload`, { method: 'POST', headers }),
    async untilIdle(waitMsMax) {
      let last = '';
      const isIdle = async () => {
        const views = await services();
        const inFlight = await metric('penstock_requests_in_flight');
        last = JSON.stringify({ inFlight, views });
        return inFlight === 0 && views.every(isServiceIdle);
      };
      await until(isIdle, 'nothing in hand', waitMsMax).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${last}`);
      });
    },
  };
}

function isServiceIdle({ queue, permits, instances }: ServiceView): boolean {
  const isHeld = permits.inUse > 0 || permits.abandoned > 0 || queue.depth > 0;
  return !isHeld && instances.every(({ inFlight, streams, abandoned }) => inFlight + streams + abandoned === 0);
}

function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  // A misspelt name would be nothing for ever.
  if (!text.includes(`# TYPE ${name} `)) throw new Error(`no metric ${name}`);
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, series, written = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const isWanted = Object.entries(labels).every(([label, wanted]) => written.includes(`${label}="${wanted}"`));
    if (series === name && isWanted) sum += Number(value);
  }
  return sum;
}
