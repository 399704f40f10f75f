import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { openTrail } from '../compose-audit.ts';
import { parseApiKeys, withApiKey, withoutApiKey, type WrittenApiKey } from '../config/api-keys-file.ts';
import type { GatewayConfig } from '../config/gateway-config.ts';
import { problemLine } from '../config/problem.ts';
import { durationMs } from '../config/units.ts';
import type { ApiKey } from '../domain/admission/api-key.ts';
import type { AuditedChange } from '../domain/operating/audit.ts';
import type { CommandIo } from './io.ts';
import { gatewayIn, misused, readArguments, Refusal, saidBy } from './refusal.ts';

const HELP = `penstock key create --subject NAME [--id ID] [--scope S]… [--role R]… [--expires 90d] [--json]
penstock key list   [--json]
penstock key revoke ID

Makes, lists and revokes the API keys in the file that \`identity.apiKeys\` names. A key is shown once, when it is made:
the file has its SHA-256 digest. A gateway that runs takes the change at once.

  --subject NAME  whom the key names
  --id ID         what the key is called in the file; default: made up
  --scope S       a scope it grants; as often as needed
  --role R        a role it grants; as often as needed
  --expires 90d   how long it is valid; default: until it is revoked
  --config FILE   gateway.yaml; default config/gateway.yaml
  --json          what was done, as JSON
`;

const OPTIONS = {
  subject: { type: 'string' },
  id: { type: 'string' },
  scope: { type: 'string', multiple: true, default: [] as string[] },
  role: { type: 'string', multiple: true, default: [] as string[] },
  expires: { type: 'string' },
  config: { type: 'string', default: 'config/gateway.yaml' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Makes, lists and revokes API keys; resolves to the exit status. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return saidBy('key', io, () => perform(args, io));
}

function perform(args: readonly string[], io: CommandIo): string | Promise<string> {
  const { values, positionals } = parsed(args);
  if (values.help) return HELP;
  const [verb = '', id, ...others] = positionals;
  if (others.length > 0) throw misused(`one thing at a time\n\n${HELP}`);
  switch (verb) {
    case 'create':
      return create(values, storeOf(values.config, io));
    case 'list':
      return list(storeOf(values.config, io).file, values.json);
    case 'revoke':
      if (id === undefined) throw misused('which key? `penstock key list` has their ids');
      return revoke(id, storeOf(values.config, io), values.json);
    default:
      throw misused(`create, list or revoke\n\n${HELP}`);
  }
}

function parsed(args: readonly string[]) {
  return readArguments(args, { options: OPTIONS, help: HELP, allowPositionals: true });
}

type Values = ReturnType<typeof parsed>['values'];

async function create(values: Values, store: Store): Promise<string> {
  const { subject = '', scope: scopes, role: roles, json } = values;
  if (subject === '') throw misused(`--subject NAME says whom the key names\n\n${HELP}`);
  const id = values.id ?? `key-${randomBytes(4).toString('hex')}`;
  const key = `penstock_${randomBytes(32).toString('base64url')}`;
  const entry: WrittenApiKey = {
    id,
    sha256: createHash('sha256').update(key).digest('hex'),
    subject,
    ...(scopes.length > 0 && { scopes }),
    ...(roles.length > 0 && { roles }),
    ...(values.expires !== undefined && { expires: expiryOf(values.expires) }),
  };
  await change(store, { what: `key create ${id}`, before: null, after: { subject, scopes, roles } }, content => {
    if (keysIn(content, store.file).some(known => known.id === id)) throw new Refusal(`there is a key ${id} already`);
    return withApiKey(content, entry);
  });
  return json ? `${JSON.stringify({ key, ...entry }, null, 2)}\n` : `${key}\n`;
}

function expiryOf(written: string): string {
  const ms = durationMs(written);
  if (ms === undefined || ms < 1000) throw misused('--expires takes a duration such as 12h or 90d');
  return new Date(Date.now() + ms).toISOString();
}

function list(file: string, isJson: boolean): string {
  const keys = keysIn(contentOf(file), file).map(key => ({
    id: key.id,
    subject: key.subject,
    scopes: key.scopes,
    roles: key.roles,
    expires: key.expiresMs === Infinity ? null : new Date(key.expiresMs).toISOString(),
    isExpired: key.expiresMs <= Date.now(),
  }));
  if (isJson) return `${JSON.stringify(keys, null, 2)}\n`;
  const rows = keys.map(({ id, subject, scopes, roles, expires, isExpired }) =>
    [
      id,
      subject,
      scopes.length === 0 ? 'no scopes' : `scopes ${scopes.join(' ')}`,
      roles.length === 0 ? 'no roles' : `roles ${roles.join(' ')}`,
      expires === null ? 'until revoked' : `${isExpired ? 'expired' : 'until'} ${expires}`,
    ].join('  '),
  );
  return rows.length === 0 ? `${file} has no keys\n` : `${rows.join('\n')}\n`;
}

async function revoke(id: string, store: Store, isJson: boolean): Promise<string> {
  await change(store, { what: `key revoke ${id}`, before: { id }, after: null }, content => {
    if (!keysIn(content, store.file).some(known => known.id === id))
      throw new Refusal(`there is no key ${JSON.stringify(id)}`);
    return withoutApiKey(content, id);
  });
  return isJson ? `${JSON.stringify({ revoked: id })}\n` : `revoked ${id}\n`;
}

/** The file of the keys, and the audit trail that changes stand in. */
interface Store {
  readonly file: string;
  readonly audit: GatewayConfig['audit'];
  readonly stderr: CommandIo['stderr'];
}

const NEEDED = { identity: ['guessing', 'introspection', 'jwt', 'ldap', 'mtls'], audit: [] } as const;

/** The file that gateway.yaml names. What else is wrong with the files is `check`'s to say. */
function storeOf(config: string, io: CommandIo): Store {
  const { identity, audit } = gatewayIn(config, NEEDED, io);
  const file = identity?.apiKeys?.file;
  if (file === undefined) throw new Refusal(`${config} has no \`identity.apiKeys\`: no key would be taken`);
  return { file, audit, stderr: io.stderr };
}

function contentOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function keysIn(content: string, file: string): readonly ApiKey[] {
  const { keys, problems } = parseApiKeys(content, file);
  if (keys === undefined) throw new Refusal(problems.map(problemLine).join('\n'));
  return keys;
}

type Change = Pick<AuditedChange, 'what' | 'before' | 'after'>;

/**
 * Changes the file, and writes that down. While a gateway writes the trail it is the gateway that does, as soon as it has
 * read the file.
 */
async function change({ file, audit, stderr }: Store, what: Change, edit: (content: string) => string): Promise<void> {
  const trail = audit === undefined ? undefined : await openTrail(audit);
  if (typeof trail === 'string' && audit?.required === true) throw new Refusal(`nothing is changed: ${trail}`);
  if (typeof trail === 'string') stderr.write(`penstock key: the audit trail lacks this: ${trail}\n`);
  const open = typeof trail === 'object' ? trail : undefined;
  try {
    rewrite(file, edit);
    open?.append({ kind: 'change', by: 'command', from: null, ...what, outcome: 'done' });
  } finally {
    await open?.close();
  }
}

/** Rewrites the file whole, one command at a time: a gateway that reads it sees the old keys or the new ones. */
function rewrite(file: string, edit: (content: string) => string): void {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.new`;
  const descriptor = openDraft(draft);
  try {
    writeSync(descriptor, edit(contentOf(file)));
    closeSync(descriptor);
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function openDraft(draft: string): number {
  try {
    return openSync(draft, 'wx', 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new Refusal((error as Error).message);
    throw new Refusal(`another \`penstock key\` is at work; if none is, remove ${draft}`);
  }
}
