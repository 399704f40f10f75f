import { resolve } from 'node:path';
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { hasError, renderProblems } from '../config/problem.ts';
import {
  type AnsweringRoute,
  type ExplainParts,
  explainSettled,
  type Explanation,
  listenerView,
  type ListenerView,
  type SecuredView,
  type SentUpstream,
} from '../domain/operating/explain.ts';
import { explainOffline, inferenceDoor, type AdmissionView } from '../compose-explain.ts';
import type { JobsView } from '../domain/jobs/job-route.ts';
import { loadContract } from '../load.ts';
import {
  argumentProblem,
  commandOf,
  type CommandIo,
  printableLine,
  PROFILE_OPTION,
  profilesOf,
  type Run,
} from './io.ts';
import { durationText, sizeText } from '../config/units.ts';
import type {
  BatchPolicy,
  CachePolicy,
  CredentialPlace,
  Limit,
  RoutePolicy,
  RouteSpec,
  Sharing,
  ValidatePolicy,
} from '../domain/route.ts';

const HELP = `penstock explain [--config FILE] [--profile NAME]… [--json] METHOD URL [-H 'Name: value']… [-d BODY] [--address IP]

Says which route answers a request, why each earlier one does not, and what would be sent to the instance. Nothing is
sent. Exits with 1 when no route answers, or the configuration has an error.

  METHOD URL      URL is a path with its query, or in full
  -H 'Name: v'    a header field of the request; may be given again
  -d BODY         the request's body
  --address IP    where the request comes from; default this machine
  --config FILE   gateway.yaml; default config/gateway.yaml
  --profile NAME  takes in the documents for this profile, where the routes were written for Spring Cloud Gateway;
                  may be given again
  --json          the explanation as one JSON object
`;

/** The command that explains how a request would travel. */
export const run: Run = commandOf({ help: HELP, readArgs, act: print });

interface ExplainOptions {
  readonly config: string;
  readonly profile: readonly string[];
  readonly json: boolean;
  readonly method: string;
  readonly url: string;
  readonly fields: readonly string[];
  readonly body: string;
  readonly address?: string;
}

function readArgs(args: readonly string[]): ExplainOptions | 'help' | Error {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'config/gateway.yaml' },
        ...PROFILE_OPTION,
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        data: { type: 'string', short: 'd', default: '' },
        address: { type: 'string', default: '127.0.0.1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return 'help';
    const [method, url, ...others] = positionals;
    if (method === undefined || url === undefined || others.length > 0)
      return new Error('penstock explain: METHOD and URL are wanted');
    const { config, profile, json, header, data, address } = values;
    if (isIP(address) === 0) return new Error('penstock explain: --address is an IP address');
    return { config, profile, json, method, url, fields: header.flatMap(fieldOf), body: data, address };
  } catch (error) {
    return new Error(argumentProblem(error, ['config', 'profile', 'header', 'data', 'address', 'json', 'help']));
  }
}

function fieldOf(written: string): [string, string] {
  const at = written.indexOf(':');
  if (at < 1) throw new Error(`penstock explain: a header field is written 'Name: value'`);
  return [written.slice(0, at).trim(), written.slice(at + 1).trim()];
}

async function print({ config, profile, json, ...input }: ExplainOptions, io: CommandIo): Promise<number> {
  const contract = loadContract(resolve(io.cwd, config), io.env, profilesOf(profile));
  const { gateway, routes, problems, texts, secrets } = contract;
  if (gateway === undefined || routes === undefined || hasError(problems)) {
    io.stderr.write(`${renderProblems(problems, texts)}\n`);
    return 1;
  }
  const origins = new Map(routes.statics.map(({ service, instances }) => [service, instances[0]]));
  const parts: ExplainParts = {
    inference: inferenceDoor(gateway),
    jobs: gateway.jobs,
    routes: routes.specs,
    mergeSlashes: gateway.listen.mergeSlashes,
    listener: listenerView(gateway.listen),
    policyOf: name => routes.policyOf(name),
    originOf: name => origins.get(name),
    wallMs: Date.now(),
    plugins: routes.plugins,
    secrets,
  };
  const explanation: Explanation = await explainSettled(input, parts);
  const admission = await explainOffline(input, gateway, parts);
  const answers = explanation.answers && { ...explanation.answers, admission };
  io.stdout.write(
    json
      ? `${JSON.stringify({ ...explanation, answers }, null, 2)}\n`
      : explanationText(explanation, { routes: routes.specs, admission }),
  );
  return explanation.answers === null ? 1 : 0;
}

/** An explanation as an operator reads it in a terminal. */
interface Explained {
  readonly routes: readonly RouteSpec[];
  readonly admission: AdmissionView | null;
}

function explanationText(explanation: Explanation, { routes, admission }: Explained): string {
  const { request, passedOver, answers, refusal } = explanation;
  const query = request.query === '' ? '' : `?${request.query}`;
  const width = Math.max(8, ...passedOver.map(({ route }) => route.length), answers?.route.length ?? 0);
  const lines = [
    `${request.method} ${request.path}${query}${request.host === '' ? '' : ` (Host: ${request.host})`}`,
    '',
    ...passedOver.map(({ route, because }) => `  no   ${route.padEnd(width)}  ${because.join(' · ')}`),
  ];
  if (explanation.middleware.length > 0) lines.splice(2, 0, row('first', explanation.middleware.join(' · ')), '');
  if (refusal !== null)
    lines.push(`  ${refusal.status}  ${refusal.code}: ${refusal.detail}`, ...allowLine(refusal.allow));
  if (answers !== null) {
    lines.push(`  yes  ${answers.route.padEnd(width)}  ${answers.predicates.join(' · ')}`, '');
    lines.push(...listenerLines(explanation.listener), ...answeringLines(answers, { routes, admission }));
  }
  return `${lines.map(printableLine).join('\n')}\n`;
}

function answeringLines(answers: AnsweringRoute, { routes, admission }: Explained): string[] {
  const policy = routes.find(({ id }) => id === answers.route)?.policy;
  return [
    ...(policy === undefined ? [] : policyLines(answers, policy)),
    ...(answers.jobs === null ? [] : [row('jobs', jobsText(answers.jobs))]),
    ...(admission === null ? [] : admissionLines(admission)),
    ...sentLines(answers, admission?.outcome === 'refused'),
  ];
}

function allowLine(allow: readonly string[]): string[] {
  return allow.length === 0 ? [] : [`       Allow: ${allow.join(', ')}`];
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(10)}${text}`;
}

/** A plain HTTP/1.1 listener goes without saying. */
function listenerLines({ isSecure, speaks, asksForCertificates }: ListenerView): string[] {
  if (speaks.length === 1) return [];
  const protocols = speaks.join(' or ');
  if (!isSecure) return [row('callers', `${protocols}, without TLS`)];
  return [row('callers', `${protocols} over TLS${asksForCertificates ? ', asked for a certificate' : ''}`)];
}

/** Who is let in by which scheme, or why not, and what the call is counted under. */
function admissionLines(admission: AdmissionView): string[] {
  const { outcome, limits } = admission;
  const counted = limits.map(({ limit, key }) => row('counted', `${limit}: ${key ?? '(the caller)'}`));
  return [row(outcome, outcomeText(admission)), ...counted];
}

function outcomeText({ scheme, caller, refusal }: AdmissionView): string {
  if (refusal !== null) return `${refusal.status} ${refusal.code}: ${refusal.detail}`;
  if (caller === null) return `${scheme}: its provider knows, which the running gateway asks (POST /api/explain)`;
  const { id, scopes, roles } = caller;
  const granted = [...scopes.map(name => `scope ${name}`), ...roles.map(name => `role ${name}`)];
  return [`${scheme}: ${id}`, ...granted].join(', ');
}

function policyLines({ service, variables, filters, plugins }: AnsweringRoute, policy: RoutePolicy): string[] {
  const captured = Object.entries(variables).map(([name, value]) => `{${name}} = ${value}`);
  return [
    row('service', service),
    ...(captured.length === 0 ? [] : [row('captured', captured.join(', '))]),
    ...(filters.length === 0 ? [] : [row('filters', filters.join(' · '))]),
    ...(plugins.length === 0 ? [] : [row('plug-ins', plugins.join(' · '))]),
    row('auth', authText(policy)),
    row('limits', policy.limits.length === 0 ? 'none' : policy.limits.map(limitText).join(', ')),
    row(
      'body',
      `at most ${sizeText(policy.bodyBytesMax)}; answers are buffered up to ${sizeText(policy.answerBytesMax)}`,
    ),
    row('timeout', timeoutText(policy)),
    ...(policy.priority === 'normal' ? [] : [row('priority', policy.priority)]),
    ...(policy.sharing === undefined ? [] : [row('shares', sharingText(policy.sharing))]),
    ...(policy.csv ? [row('csv', 'text/csv is taken, and answered where `Accept` prefers it')] : []),
    ...(policy.validate === undefined ? [] : [row('validate', validateText(policy.validate))]),
  ];
}

function jobsText({ why, files, isAlways, rows }: JobsView): string {
  if (why !== null) return `none: ${why}`;
  const when = isAlways ? 'of each POST' : 'with `Prefer: respond-async`';
  const size = rows === null ? 'as many rows a call as are answered quickly' : `${rows} rows a call`;
  return `${files === null ? '' : `of files at ${files}; `}${when}; ${size}`;
}

/** What a live service publishes, and what that makes of a body, `POST /api/explain` says. */
function validateText({ from, unknown, rowsMax, depthMax }: ValidatePolicy): string {
  const published = { prototype: '/prototype', openapi: '/openapi.json' };
  const by = typeof from === 'string' ? `what the service publishes at ${published[from]}` : from.file;
  const fields = unknown === 'refuse' ? '; no other fields' : '';
  return `by ${by}; at most ${rowsMax} records, nested at most ${depthMax} deep${fields}`;
}

function sharingText({ coalesce, cache, batch }: Sharing): string {
  return [
    ...(coalesce ? ['equal requests in flight'] : []),
    ...(cache === undefined ? [] : [cacheText(cache)]),
    ...(batch === undefined ? [] : [batchText(batch)]),
  ].join('; ');
}

/** What is found out of a live model `check --online` and the log say. */
function batchText({ sizeMax, rowsIndependent }: BatchPolicy): string {
  const declare = 'where the service publishes no /prototype, none without `rowsIndependent: true`';
  return `batches of at most ${sizeMax} rows${rowsIndependent ? '' : ` (${declare})`}`;
}

function cacheText({ ttlMs, methods }: CachePolicy): string {
  return `answers to ${[...methods].join(', ')} for ${ttlMs === 'http' ? 'as long as R says' : durationText(ttlMs)}`;
}

function authText({ auth }: RoutePolicy): string {
  if (auth === undefined) return 'open: gateway.yaml configures no identity';
  const rules = [
    auth.allow.join(' or '),
    ...(auth.scopes.length === 0 ? [] : [`all of the scopes ${auth.scopes.join(', ')}`]),
    ...(auth.roles.length === 0 ? [] : [`any of the roles ${auth.roles.join(', ')}`]),
    ...(auth.from === undefined ? [] : [`in ${auth.from.map(placeText).join(', ')}`]),
    ...(auth.forwardToken ? ['the token is passed on'] : []),
  ];
  return rules.join('; ');
}

function placeText(place: CredentialPlace): string {
  return place.kind === 'cookie' ? `cookie ${place.name}` : place.kind;
}

function limitText({ rate, perMs, by, cost, pace, isEnforced }: Limit): string {
  const paced =
    pace && `; a burst of ${pace.burst}, then one by one, each waiting ${durationText(pace.waitMsMax)} at most`;
  const of = `${rate}${cost === 'rows' ? ' rows' : ''} in ${durationText(perMs)}`;
  const counted = `${of} by ${by.kind === 'header' ? `header ${by.name}` : by.kind}${paced ?? ''}`;
  return isEnforced ? counted : `${counted} (it only counts)`;
}

function timeoutText({ isStream, isPure, streamIdleMs, timeoutMs, retry }: RoutePolicy): string {
  if (isStream) return `none: a stream, ended when idle for ${durationText(streamIdleMs)}`;
  const repeatable = durationText(retry.repeatableTimeoutMs);
  const attempt = durationText(retry.attemptTimeoutMs);
  const each = repeatable === attempt || isPure ? repeatable : `${attempt} (${repeatable} where a repeat is safe)`;
  return `${durationText(timeoutMs)}; at most ${retry.attempts} ${retry.attempts === 1 ? 'attempt' : 'attempts'} of ${each}`;
}

function sentLines({ isPreflight, answered, transcoded, sent }: AnsweringRoute, isRefused: boolean): string[] {
  if (isPreflight) return ['', '  A preflight: the gateway answers it itself, by the route’s `cors`.'];
  if (answered !== null) {
    const location = answered.location === undefined ? '' : `, Location: ${answered.location}`;
    return ['', `  Answered here: ${answered.status}${location}`];
  }
  const refusal = transcoded?.refusal;
  if (refusal) return ['', `  ${refusal.status}  ${refusal.code}: ${refusal.detail}`];
  const what = isRefused ? 'Were it admitted, sent' : 'Sent';
  return sent === null
    ? []
    : ['', `  ${what} to ${sent.to}${securedText(sent)}:`, '', ...requestLines(sent, transcoded)];
}

function securedText({ to, secured }: SentUpstream): string {
  if (secured === null) return '';
  const where = to.startsWith('https:') ? 'over TLS' : 'over TLS where the address is https://';
  return ` (${where}: ${verifiedText(secured)}${secured.showsCertificate ? ', shown a certificate of the gateway’s' : ''})`;
}

function verifiedText({ verifiedAs, isVerified, hasOwnAuthority }: SecuredView): string {
  if (!isVerified) return 'not verified';
  const authority = hasOwnAuthority ? 'the service’s own authority' : 'an authority that Node knows';
  return `verified as ${verifiedAs ?? 'its host'} by ${authority}`;
}

function requestLines(sent: SentUpstream, transcoded: AnsweringRoute['transcoded']): string[] {
  const { method, target, host, headers, identity, withheld, bodyBytes, sharedBy } = sent;
  return [
    `    ${method} ${target}`,
    `    Host: ${host ?? '(the instance’s own)'}`,
    ...headers.map(([name, value]) => `    ${name}: ${value}`),
    ...identity.map(name => `    ${name}: (from the credential)`),
    ...(bodyBytes === 0 ? [] : ['', `    ${bodyText(bodyBytes, transcoded)}`]),
    ...(withheld.length === 0
      ? []
      : ['', '  Not sent:', '', ...withheld.map(({ name, why }) => `    ${name}: ${why}`)]),
    ...(sharedBy === null
      ? []
      : ['', '  Shared by requests that agree in:', '', ...sharedBy.map(part => `    ${part}`)]),
  ];
}

const SHOWN_CHARS_MAX = 200;

/** What is left as it came can only be transcoded where the model's columns are known. */
function bodyText(bytes: number, transcoded: AnsweringRoute['transcoded']): string {
  if (transcoded === null) return `${bytes} bytes`;
  const { form, body } = transcoded;
  if (body === '') return `(rows from ${form}: a gateway that runs knows the model’s columns, see POST /api/explain)`;
  const shown = body.length > SHOWN_CHARS_MAX ? `${body.slice(0, SHOWN_CHARS_MAX)}…` : body;
  return `${bytes} bytes of JSON from ${form}: ${shown}`;
}
