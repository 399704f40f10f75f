import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseApiKeys, withApiKey, withoutApiKey, type WrittenApiKey } from '../config/api-keys-file.ts';
import { problemLine } from '../config/problem.ts';
import { durationMs } from '../config/units.ts';
import type { ApiKey } from '../domain/admission/api-key.ts';
import { loadContract } from '../load.ts';
import { argumentProblem, USAGE_ERROR, type CommandIo } from './io.ts';

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

/** Why nothing was done, in words for the operator. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Makes, lists and revokes API keys; resolves to the exit status. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  try {
    io.stdout.write(perform(args, io));
    return Promise.resolve(0);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    io.stderr.write(`penstock key: ${error.message}\n`);
    return Promise.resolve(error.status);
  }
}

function perform(args: readonly string[], io: CommandIo): string {
  const { values, positionals } = parsed(args);
  if (values.help) return HELP;
  const [verb = '', id, ...others] = positionals;
  if (others.length > 0) throw new Refusal(`one thing at a time\n\n${HELP}`, USAGE_ERROR);
  switch (verb) {
    case 'create':
      return create(values, keysFile(values.config, io));
    case 'list':
      return list(keysFile(values.config, io), values.json);
    case 'revoke':
      if (id === undefined) throw new Refusal(`which key? \`penstock key list\` has their ids`, USAGE_ERROR);
      return revoke(id, keysFile(values.config, io), values.json);
    default:
      throw new Refusal(`create, list or revoke\n\n${HELP}`, USAGE_ERROR);
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Refusal(`${argumentProblem(error, Object.keys(OPTIONS))}\n\n${HELP}`, USAGE_ERROR);
  }
}

type Values = ReturnType<typeof parsed>['values'];

function create(values: Values, file: string): string {
  const { subject = '', scope: scopes, role: roles, json } = values;
  if (subject === '') throw new Refusal(`--subject NAME says whom the key names\n\n${HELP}`, USAGE_ERROR);
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
  change(file, content => {
    if (keysIn(content, file).some(known => known.id === id)) throw new Refusal(`there is a key ${id} already`);
    return withApiKey(content, entry);
  });
  return json ? `${JSON.stringify({ key, ...entry }, null, 2)}\n` : `${key}\n`;
}

function expiryOf(written: string): string {
  const ms = durationMs(written);
  if (ms === undefined || ms < 1000) throw new Refusal('--expires takes a duration such as 12h or 90d', USAGE_ERROR);
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

function revoke(id: string, file: string, isJson: boolean): string {
  change(file, content => {
    if (!keysIn(content, file).some(known => known.id === id))
      throw new Refusal(`there is no key ${JSON.stringify(id)}`);
    return withoutApiKey(content, id);
  });
  return isJson ? `${JSON.stringify({ revoked: id })}\n` : `revoked ${id}\n`;
}

/** The file that gateway.yaml names. What else is wrong with the files is `check`'s to say. */
function keysFile(config: string, { cwd, env, stderr }: CommandIo): string {
  const { gateway, problems } = loadContract(resolve(cwd, config), env);
  if (gateway === undefined) {
    for (const problem of problems.filter(({ severity }) => severity === 'error'))
      stderr.write(`${problemLine(problem)}\n`);
    throw new Refusal(`${config} cannot be used; --config names another`);
  }
  const file = gateway.identity?.apiKeys?.file;
  if (file === undefined) throw new Refusal(`${config} has no \`identity.apiKeys\`: no key would be taken`);
  return file;
}

function contentOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function keysIn(content: string, file: string): readonly ApiKey[] {
  const { keys, problems } = parseApiKeys(content, file);
  if (keys === undefined) throw new Refusal(problems.map(problemLine).join('\n'));
  return keys;
}

/** Rewrites the file whole, one command at a time: a gateway that reads it sees the old keys or the new ones. */
function change(file: string, edit: (content: string) => string): void {
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
