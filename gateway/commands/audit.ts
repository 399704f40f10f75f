import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { countCalls, verifyTrail } from '../compose-audit.ts';
import {
  FIRST_PREVIOUS,
  REPORT_KEYS,
  type AuditCheck,
  type AuditHead,
  type ReportKey,
} from '../domain/operating/audit.ts';
import { loadNeeded } from '../load.ts';
import { argumentProblem, USAGE_ERROR, type CommandIo } from './io.ts';

const HELP = `penstock audit verify [--head HASH] [--file FILE | --config FILE] [--json]
penstock audit report [--by caller|model|day] [--file FILE | --config FILE] [--json]

verify follows the hashes of the audit trail from line to line and says where it was changed or cut.
report counts the calls in it.

  --head HASH     a hash that the log has told: the line that has it must be there, so that nothing was cut off at the end
  --by KEY        by what calls are counted; default caller
  --file FILE     the trail; default: the one that gateway.yaml names
  --config FILE   gateway.yaml; default config/gateway.yaml
  --json          the findings as JSON
`;

const OPTIONS = {
  head: { type: 'string' },
  by: { type: 'string' },
  file: { type: 'string' },
  config: { type: 'string', default: 'config/gateway.yaml' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

interface Wanted {
  readonly file: string;
  readonly isJson: boolean;
}

/** Why nothing is done, in words for the operator. */
class Misuse extends Error {
  override readonly name = 'Misuse';
}

/** Verifies the audit trail, or counts what is in it; resolves to the exit status: 1 where the trail is not sound. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  try {
    const { values, action, by } = readArguments(args);
    if (values.help) return say(io, HELP);
    const file = values.file === undefined ? trailOf(values.config, io) : resolve(io.cwd, values.file);
    if (file === undefined) return 1;
    const wanted = { file, isJson: values.json };
    return action === 'verify' ? await verify(wanted, values.head, io) : await report(wanted, by, io);
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    io.stderr.write(`penstock audit: ${error.message}\n\n${HELP}`);
    return USAGE_ERROR;
  }
}

function say({ stdout }: CommandIo, text: string): number {
  stdout.write(text);
  return 0;
}

function readArguments(args: readonly string[]) {
  const { values, positionals } = parse(args);
  const [action = '', ...more] = positionals;
  const { by = 'caller', head = FIRST_PREVIOUS } = values;
  if (values.help) return { values, action, by: 'caller' as const };
  if (!['verify', 'report'].includes(action) || more.length > 0) throw new Misuse('verify or report?');
  if (!isReportKey(by)) throw new Misuse(`--by takes ${REPORT_KEYS.join(', ')}`);
  if (!/^[0-9a-f]{64}$/.test(head)) throw new Misuse('--head takes 64 hexadecimal digits');
  return { values, action, by };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Misuse(argumentProblem(error, Object.keys(OPTIONS)));
  }
}

function isReportKey(by: string): by is ReportKey {
  return REPORT_KEYS.some(key => key === by);
}

function trailOf(config: string, { env, cwd, stderr }: CommandIo): string | undefined {
  const { gateway } = loadNeeded(resolve(cwd, config), env, { audit: [] });
  if (gateway?.audit === undefined) {
    const problem = gateway === undefined ? 'cannot be used: `penstock check` says why' : 'has no `audit`';
    stderr.write(`penstock audit: ${config} ${problem}; --file names a trail\n`);
  }
  return gateway?.audit?.file;
}

async function verify({ file, isJson }: Wanted, head: string | undefined, { stdout }: CommandIo): Promise<number> {
  const { check, end } = await verifyTrail(file, head);
  const { lines, firstSeq = null, flaw = null } = check;
  if (isJson) stdout.write(`${JSON.stringify({ file, lines, firstSeq, head: end ?? null, flaw })}\n`);
  else stdout.write(inWords(check, file, end));
  return flaw === null && end !== undefined ? 0 : 1;
}

function inWords({ lines, firstSeq, flaw }: AuditCheck, file: string, end: AuditHead | undefined): string {
  if (end === undefined && flaw === undefined) return `${file}: no audit trail is there\n`;
  if (flaw !== undefined) return `${file}: ${flaw.at === 0 ? '' : `line ${flaw.at} `}${flaw.problem}\n`;
  return `${file}: ${lines} lines, from number ${firstSeq ?? 0} to ${end?.seq ?? 0}, each follows from the one before\nhead ${end?.hash ?? ''}\n`;
}

async function report({ file, isJson }: Wanted, by: ReportKey, { stdout }: CommandIo): Promise<number> {
  const rows = await countCalls(file, by);
  if (isJson) {
    stdout.write(`${JSON.stringify(rows)}\n`);
    return 0;
  }
  const width = Math.max(by.length, ...rows.map(({ key }) => key.length));
  stdout.write(`${by.padEnd(width)}  calls  failed\n`);
  for (const { key, calls, failed } of rows) {
    stdout.write(`${key.padEnd(width)}  ${String(calls).padStart(5)}  ${String(failed).padStart(6)}\n`);
  }
  return 0;
}
