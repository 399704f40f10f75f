import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ensureServer } from './servers.mjs';

/** A call of a method, as grpc-client.py takes it. */
export interface GrpcCall {
  readonly method: string;
  readonly request?: string;
  readonly response?: string;
  readonly message?: unknown;
  /** In place of these: a message's bytes, in hexadecimal. */
  readonly raw?: string;
  readonly metadata?: readonly (readonly [string, string])[];
  /** In seconds. */
  readonly timeout?: number;
  readonly compress?: boolean;
  /** On the connection on which the client's certificate is shown. */
  readonly isShown?: boolean;
}

/** How it ended. */
export interface GrpcEnd {
  readonly code: string;
  readonly details: string;
  readonly message: unknown;
  readonly initial: readonly (readonly [string, string])[];
  readonly trailing: readonly (readonly [string, string])[];
}

interface Client {
  readonly target: string;
  /** PEM; undefined: without TLS. */
  readonly ca?: string;
  /** The client's own, for calls that show it. */
  readonly shown?: { readonly cert: string; readonly key: string };
  /** What declares the messages: FileDescriptorProto in JSON, or its bytes in base64; what is imported stands before. */
  readonly files?: readonly unknown[];
  readonly calls: readonly GrpcCall[];
}

const CLIENT = fileURLToPath(new URL('./grpc-client.py', import.meta.url));

/** Makes these calls, one after the other on one connection, with Debian's client of gRPC. */
export async function callByGrpc(client: Client): Promise<GrpcEnd[]> {
  const python = spawn(await ensureServer('python3-grpcio'), [CLIENT], { stdio: ['pipe', 'pipe', 'pipe'] });
  const [said, wrong] = [text(python.stdout), text(python.stderr)];
  python.stdin.end(JSON.stringify({ files: [], ...client }));
  const answers = await said;
  if (answers === '') throw new Error(await wrong);
  return JSON.parse(answers) as GrpcEnd[];
}

/** How a call ended by the bytes of HTTP/2. */
export interface RawEnd {
  readonly head: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A call whose body is these bytes, whatever they are; `fields` name its path. */
export async function callRaw(
  session: ClientHttp2Session,
  body: Buffer,
  fields: Readonly<Record<string, string>>,
): Promise<RawEnd> {
  const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...fields });
  let [head, trailers]: IncomingHttpHeaders[] = [{}, {}];
  const chunks: Buffer[] = [];
  stream.on('response', said => (head = said)).on('trailers', (said: IncomingHttpHeaders) => (trailers = said));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  stream.end(body);
  await once(stream, 'close');
  return { head: head ?? {}, trailers: trailers ?? {}, body: Buffer.concat(chunks) };
}

/** A real server of gRPC, made with Debian's grpcio. */
export interface GrpcServer {
  readonly origin: string;
  /** What it has said so far, a line each. */
  readonly lines: readonly string[];
  /** Kills it. */
  stop(): Promise<void>;
}

const SERVER = fileURLToPath(new URL('./grpc-server.py', import.meta.url));

/** Starts it on a free port, by TLS where key and certificate are in a file; it ends with the test. */
export async function startGrpcServer(t: TestContext, name: string, pem?: string): Promise<GrpcServer> {
  const args = [SERVER, name, ...(pem === undefined ? [] : [pem])];
  const python = spawn(await ensureServer('python3-grpcio'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = async () => {
    if (python.exitCode !== null || python.signalCode !== null) return;
    const ended = once(python, 'exit');
    python.kill('SIGKILL');
    await ended;
  };
  t.after(stop);
  const lines: string[] = [];
  const said = createInterface(python.stdout);
  const [port] = (await once(said, 'line')) as [string];
  said.on('line', line => lines.push(line));
  return { origin: `${pem === undefined ? 'grpc' : 'grpcs'}://127.0.0.1:${port}`, lines, stop };
}
