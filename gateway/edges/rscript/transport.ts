import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { printable } from '../../domain/printable.ts';
import type { RosterEntry } from '../../domain/roster.ts';
import type { ExchangeEnd, ExchangeListener, SendOptions, UpstreamMessage } from '../../domain/upstream.ts';
import { Exchanges, givenUp, Hosts, type Way, type WayExchange } from '../by-scheme.ts';
import { sha256 } from '../digest.ts';
import type { RKeeper } from '../r-keeper.ts';
import { Interpreter, type RunEnd, type RunListener, type ScriptSpec, removeAbandonedFolders } from './interpreter.ts';

/** A script as `discovery.local` has it. */
export interface LocalScript extends ScriptSpec {
  /** How many runs at once. */
  readonly instances: number;
  /** Interpreters that are started before their call. */
  readonly warm: number;
}

interface ScriptParts {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** Runs R scripts in answer to calls: the way to the origins `script:NAME`. */
export interface Scripts extends Way {
  /** Runs this script from now on; `onChange` is called when its file has changed. */
  keep(script: LocalScript, onChange: () => void): RKeeper;
}

/** What begins the origin of a script. */
const SCHEME = 'script:';
/** How often the file is looked at. */
const LOOK_EVERY_MS = 2_000;
/** What a system takes as one argument (Linux: MAX_ARG_STRLEN, 32 pages). */
const ARGUMENT_BYTES_MAX = 128 * 1024 - 1;
const LINE_CHARS_MAX = 500;
/** An interpreter that ends before its call is not started again before so long. */
const WARM_AGAIN_MS = 1_000;

/** It has no scripts yet. */
export function createScripts(parts: ScriptParts): Scripts {
  const hosts = new Hosts<ScriptHost>();
  const exchanges = new Exchanges(parts);
  let keepsSome = false;
  return {
    transport: hosts.transport(
      'script',
      exchanges,
      (message, options) => new ScriptExchange({ ...parts, exchanges, message }, options),
    ),
    // Whether its file can be read stands in the roster; there is nothing else to ask.
    probe: () => Promise.resolve({ isWell: true, note: 'a script is started for each call' }),
    keep(script, onChange) {
      if (!keepsSome) removeAbandonedFolders();
      keepsSome = true;
      return hosts.keep(`${SCHEME}${script.service}`, new ScriptHost(script, parts, onChange));
    },
  };
}

interface ExchangeParts extends ScriptParts {
  readonly exchanges: Exchanges;
  readonly message: UpstreamMessage;
}

/** One script, and the interpreters that wait for a call. */
class ScriptHost {
  readonly script: LocalScript;
  readonly #parts: ScriptParts;
  readonly #onChange: () => void;
  readonly #look: () => void;
  #version: string | null;
  #warm: Interpreter[] = [];
  #cancelWarming: (() => void) | undefined = undefined;
  #isClosed = false;

  constructor(script: LocalScript, parts: ScriptParts, onChange: () => void) {
    this.script = script;
    this.#parts = parts;
    this.#onChange = onChange;
    this.#version = versionOf(script.file);
    this.#look = () => this.#reread();
    watchFile(script.file, { interval: LOOK_EVERY_MS, persistent: false }, this.#look);
    this.#fill();
  }

  entry(): RosterEntry {
    const { service, instances } = this.script;
    const isThere = this.#version !== null;
    return {
      ...{ id: `${service}-script`, origin: `${SCHEME}${service}`, source: 'local', weight: 1 },
      ...{ health: isThere ? 'passing' : 'critical', healthNote: isThere ? null : 'the script cannot be read' },
      ...{ version: this.#version, model: null, concurrency: instances },
    };
  }

  hasBeenTried(): boolean {
    return true;
  }

  /** One that runs the script as it is now. Throws where the system has nothing left to start it with. */
  start(argument: string | undefined): Interpreter {
    for (let warm = this.#warm.shift(); warm !== undefined; warm = this.#warm.shift()) {
      setImmediate(() => this.#fill()); // after the call is on its way
      if (!warm.isOver) return warm;
    }
    return this.#create(argument);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelWarming?.();
    unwatchFile(this.script.file, this.#look);
    this.#coolDown();
  }

  #create(argument: string | undefined): Interpreter {
    const { service } = this.script;
    const { observe, clock } = this.#parts;
    return new Interpreter(this.script, {
      argument,
      clock,
      onLine: line =>
        observe({ kind: 'notice', level: 'warn', text: printable(line, LINE_CHARS_MAX), about: { service } }),
    });
  }

  #fill(): void {
    this.#cancelWarming?.();
    this.#cancelWarming = undefined;
    if (this.#isClosed || this.script.warm === 0) return;
    this.#warm = this.#warm.filter(interpreter => !interpreter.isOver);
    try {
      while (this.#warm.length < this.script.warm) this.#warm.push(this.#create(undefined));
    } catch {
      // The system lacks something now; a call would say so itself.
    }
    this.#cancelWarming = this.#parts.clock.after(WARM_AGAIN_MS, () => this.#fill());
  }

  #coolDown(): void {
    for (const interpreter of this.#warm) interpreter.kill();
    this.#warm = [];
  }

  #reread(): void {
    const version = versionOf(this.script.file);
    if (version === this.#version) return;
    this.#version = version;
    this.#coolDown(); // they have read the file as it was
    this.#fill();
    this.#onChange();
  }
}

/** The first characters of the file's SHA-256: another text is another version. */
function versionOf(file: string): string | null {
  try {
    return sha256(readFileSync(file)).slice(0, 12);
  } catch {
    return null;
  }
}

/** One call that a script answers. */
class ScriptExchange implements WayExchange, RunListener {
  sentMs: number | undefined = undefined;
  firstByteMs: number | undefined = undefined;
  endsMs = Infinity;
  watchedAt = -1;
  listener: ExchangeListener;
  readonly #parts: ExchangeParts;
  readonly #bytesMax: number;
  readonly #hangMsMax: number;
  #interpreter: Interpreter | undefined = undefined;
  #output: Buffer[] = [];
  #bytes = 0;

  constructor(parts: ExchangeParts, { bounds, listener }: SendOptions) {
    this.#parts = parts;
    this.listener = listener;
    this.#bytesMax = bounds.bufferBytesMax;
    this.#hangMsMax = bounds.hangMsMax;
  }

  begin(host: ScriptHost): void {
    const { message, exchanges } = this.#parts;
    const isArgument = host.script.input === 'argument';
    const refusal = refusalOf(message, isArgument);
    if (refusal !== undefined) {
      setImmediate(() => this.#fail('failed', refusal));
      return;
    }
    try {
      this.#interpreter = host.start(isArgument ? message.body.toString('utf8') : undefined);
    } catch (cause) {
      const failure = new GatewayError('CONNECT_FAILED', 'the script could not be started', { cause });
      setImmediate(() => this.#fail('refused', failure));
      return;
    }
    this.sentMs = exchanges.time(this, this.#hangMsMax);
    this.#interpreter.run(isArgument ? undefined : message.body, this);
  }

  /** No caller waits: the script is ended, and its permit is free. */
  discard(): void {
    this.#interpreter?.kill();
  }

  abandon(reason: string): void {
    this.#interpreter?.kill();
    this.#fail('abandoned', givenUp(this, reason));
  }

  onTimeOver(): void {
    this.#interpreter?.kill();
    this.#fail('hung', new GatewayError('ATTEMPT_TIMEOUT', `the script did not end within ${this.#hangMsMax} ms`));
  }

  onOutput(chunk: Buffer): void {
    this.firstByteMs ??= this.#parts.clock.nowMs();
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#bytesMax) {
      this.#output.push(chunk);
      return;
    }
    this.#interpreter?.kill();
    this.#fail('failed', modelFailed(`It wrote more than the ${this.#bytesMax} bytes that this route takes.`));
  }

  onEnd(end: RunEnd): void {
    if (!end.isStarted) this.#fail('refused', new GatewayError('CONNECT_FAILED', `not started: ${end.reason}`));
    else if (end.status !== 0) this.#fail('failed', modelFailed(whyFailed(end)));
    else {
      const body = Buffer.concat(this.#output);
      this.#end({ kind: 'answered', answer: { status: 200, fields: ['Content-Type', typeOf(body)], body } });
    }
  }

  #fail(kind: Exclude<ExchangeEnd['kind'], 'answered'>, failure: GatewayError): void {
    this.#end({ kind, failure });
  }

  #end(end: ExchangeEnd): void {
    this.#output = [];
    this.#parts.exchanges.end(this, end);
  }
}

/** What a script cannot be given. */
function refusalOf({ method, body }: UpstreamMessage, isArgument: boolean): GatewayError | undefined {
  if (method !== 'POST') {
    const detail = 'A script is called by POST.';
    return new GatewayError('METHOD_NOT_ALLOWED', 'a script is called by POST', { detail, fields: ['Allow', 'POST'] });
  }
  if (!isArgument) return undefined;
  if (body.length > ARGUMENT_BYTES_MAX) return bodyTooLarge(ARGUMENT_BYTES_MAX);
  if (!body.includes(0)) return undefined;
  const detail = 'The body holds a null byte, which an argument cannot.';
  return new GatewayError('BAD_REQUEST', 'a null byte in an argument', { detail });
}

function whyFailed({ status, reason, lastLine }: RunEnd): string {
  if (reason === 'SIGXCPU') return 'It took more processor time than `cpuMax` allows.';
  if (lastLine !== '') return printable(lastLine, LINE_CHARS_MAX);
  return status === undefined ? `It was ended by ${reason}.` : `It ended with status ${status}.`;
}

function modelFailed(detail: string): GatewayError {
  return new GatewayError('MODEL_FAILED', detail, { detail });
}

/** JSON, where it is JSON. */
function typeOf(body: Buffer): string {
  try {
    JSON.parse(body.toString('utf8'));
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
}
