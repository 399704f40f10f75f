import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { GatewayError } from '../../domain/errors.ts';
import type { RserveAccount, UpstreamTls } from '../../domain/service.ts';
import type { ExchangeEnd } from '../../domain/upstream.ts';
import { connectEnd } from '../r-transport/connection.ts';
import { distrustOf, tlsTowards } from '../tls/upstream.ts';
import { COMMAND, QapError, type QapResponse, ResponseReader, textCommand } from './qap.ts';
import { unixCrypt } from './unix-crypt.ts';

/** Why an exchange brings no answer, and what that says of the instance. */
export class RserveFailure extends Error {
  readonly kind: Exclude<ExchangeEnd['kind'], 'answered'>;
  readonly failure: GatewayError;

  constructor(kind: RserveFailure['kind'], failure: GatewayError) {
    super(failure.message);
    this.kind = kind;
    this.failure = failure;
  }
}

/** What a server says first: that it speaks QAP1, and how one logs in. */
interface Greeting {
  /** Undefined: it asks for no login. */
  readonly login: 'crypt' | 'plain' | undefined;
  readonly salt: string;
}

const GREETING_BYTES = 32;
/** Of an answer to what sets a connection up. */
const SETUP_BYTES_MAX = 64 * 1024;
const AUTHENTICATION_FAILED = 0x41;

/** Whom to connect to, and how. */
export interface RserveTarget {
  /** `rserve://HOST:PORT`, or `rserves://HOST:PORT` by TLS. */
  readonly origin: string;
  /** How it is secured, where the origin asks for that. */
  readonly tls?: UpstreamTls | undefined;
  readonly account: RserveAccount | undefined;
  readonly connectTimeoutMs: number;
  /** The gateway's own functions, which each R is given. */
  readonly functions: string;
}

/** A connection to Rserve: an R of its own, which answers one request at a time. */
export class RserveConnection {
  readonly target: RserveTarget;
  /** How many calls it has answered. */
  calls = 0;
  readonly #socket: Socket;
  #reader: ResponseReader | undefined = undefined;
  #settle: ((response: QapResponse | Error) => void) | undefined = undefined;
  #isOver = false;

  constructor(socket: Socket, target: RserveTarget) {
    this.#socket = socket;
    this.target = target;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', error => this.#end(error));
    socket.on('close', () => this.#end(new Error('the connection ended')));
  }

  /** It has ended, by either side. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends a command, and resolves to the answer. Rejected with QapError or TooLarge, or when the connection ends. */
  send(command: Buffer, bytesMax: number): Promise<QapResponse> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) {
        reject(new Error('the connection has ended'));
        return;
      }
      this.#reader = new ResponseReader(bytesMax);
      this.#settle = response => (response instanceof Error ? reject(response) : resolve(response));
      this.#socket.write(command);
    });
  }

  destroy(): void {
    this.#socket.destroy();
    this.#end(new Error('the connection was ended'));
  }

  #take(chunk: Buffer): void {
    try {
      if (this.#reader === undefined) throw new QapError('it spoke unasked');
      const response = this.#reader.take(chunk);
      if (response === undefined) return;
      this.#reader = undefined;
      this.#received(response);
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
      this.#socket.destroy();
    }
  }

  #received(response: QapResponse | Error): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(response);
  }

  #end(error: Error): void {
    this.#isOver = true;
    this.#received(error);
  }
}

/** Connects, logs in and defines what is called. Rejected with an RserveFailure; nothing of a call has reached R then. */
export async function openConnection(target: RserveTarget): Promise<RserveConnection> {
  const { connectTimeoutMs, functions } = target;
  const socket = socketTo(target);
  const late = setTimeout(() => socket.destroy(new Late(connectTimeoutMs)), connectTimeoutMs);
  try {
    const greeting = readGreeting(await greetingOf(socket));
    const connection = new RserveConnection(socket, target);
    if (greeting.login !== undefined) await logIn(connection, greeting);
    await setUp(connection, textCommand(COMMAND.setEncoding, 'utf8'));
    await setUp(connection, textCommand(COMMAND.voidEval, functions));
    return connection;
  } catch (error) {
    socket.destroy();
    throw toFailure(error, target, socket);
  } finally {
    clearTimeout(late);
  }
}

/** Whether something greets there as Rserve does. Rejected with an RserveFailure. */
export async function meet(place: Place, signal: AbortSignal): Promise<void> {
  const socket = socketTo(place);
  const leave = () => socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', leave, { once: true });
  try {
    if (signal.aborted) leave();
    await greetingOf(socket);
  } catch (error) {
    throw toFailure(error, place, socket);
  } finally {
    signal.removeEventListener('abort', leave);
    socket.destroy();
  }
}

class Late extends Error {
  constructor(ms: number) {
    super(`no Rserve has answered within ${ms} ms`);
  }
}

class NoRserve extends Error {}

type Place = Pick<RserveTarget, 'origin' | 'tls'>;

function socketTo({ origin, tls }: Place): Socket {
  const { protocol, hostname, port } = new URL(origin);
  const host = hostname.replace(/^\[|\]$/g, '');
  const address = { host, port: Number(port) };
  // QAP1 has no name among the protocols of ALPN.
  const socket =
    protocol === 'rserves:'
      ? connectTls({ ...address, ...tlsTowards(host, tls), ALPNProtocols: [] })
      : connectTcp(address);
  socket.setNoDelay(true);
  socket.on('error', ignore); // who waits is told by another listener
  return socket;
}

/** Takes exactly the greeting: whatever follows unasked is for the connection to judge. */
function greetingOf(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const leave = () => {
      socket.off('data', take).off('error', fail).off('close', end);
    };
    const fail = (error: Error) => {
      leave();
      reject(error);
    };
    const end = () => fail(new Error('the connection ended before Rserve had greeted'));
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      const text = Buffer.concat(chunks).toString('latin1');
      const flaw = flawOfGreeting(text);
      if (flaw !== undefined) fail(new NoRserve(flaw));
      else if (bytes >= GREETING_BYTES) {
        leave();
        resolve(text);
      }
    };
    socket.on('data', take).on('error', fail).on('close', end);
  });
}

/** What can be told from what has come so far. */
function flawOfGreeting(text: string): string | undefined {
  if (text.length > GREETING_BYTES) return 'it says more than Rserve says first';
  if (text.startsWith('RsOC')) return 'it serves object capabilities (`qap.oc`), which do not let functions be called';
  const expected = 'Rsrv0103QAP1';
  const begun = text.slice(0, expected.length);
  return expected.startsWith(begun) ? undefined : 'what listens there is no Rserve that speaks QAP1';
}

/** Attributes of four characters each: `ARuc` and `ARpt` say how to log in, `K` begins the salt. */
function readGreeting(text: string): Greeting {
  const attributes = Array.from({ length: 5 }, (_, i) => text.slice(12 + 4 * i, 16 + 4 * i));
  const salt = attributes.find(attribute => attribute.startsWith('K'))?.slice(1, 3) ?? '';
  // In the clear where that is taken: only so does Rserve know the passwords that it has as hashes.
  if (attributes.includes('ARpt')) return { login: 'plain', salt };
  if (!attributes.includes('ARuc')) return { login: undefined, salt };
  if (!/^[./0-9A-Za-z]{2}$/.test(salt)) throw new NoRserve('it asks for a crypted password without a salt');
  return { login: 'crypt', salt };
}

async function logIn(connection: RserveConnection, { login, salt }: Greeting): Promise<void> {
  const { account } = connection.target;
  if (account === undefined) throw new NoRserve('it asks for a user and password: `rserve` of the service has none');
  const password = login === 'crypt' ? unixCrypt(account.password, salt) : account.password;
  await setUp(connection, textCommand(COMMAND.login, `${account.user}\n${password}`));
}

async function setUp(connection: RserveConnection, command: Buffer): Promise<void> {
  const { error } = await connection.send(command, SETUP_BYTES_MAX);
  if (error === AUTHENTICATION_FAILED) throw new NoRserve('it refuses the user or the password');
  if (error !== undefined) throw new NoRserve(`it refuses to be set up (error ${error})`);
}

function toFailure(error: unknown, { origin }: Place, socket: Socket): RserveFailure {
  const distrust = distrustOf(socket, error);
  if (distrust !== undefined) return new RserveFailure('untrusted', distrust);
  const message = `${origin}: ${error instanceof Error ? error.message : String(error)}`;
  if (error instanceof NoRserve || error instanceof QapError)
    return new RserveFailure('malformed', new GatewayError('UPSTREAM_FAULT', message));
  const kind = error instanceof Late ? 'connect-timeout' : connectEnd(error);
  return new RserveFailure(kind, new GatewayError('CONNECT_FAILED', message, { cause: error }));
}

function ignore(): void {
  // Its end tells.
}
