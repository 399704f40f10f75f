import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { ensureServer } from './servers.mjs';

/** A call of a method, as grpc-client.py takes it. */
export interface GrpcCall {
  readonly method: string;
  readonly request: string;
  readonly response: string;
  readonly message: unknown;
  readonly metadata?: readonly (readonly [string, string])[];
  /** In seconds. */
  readonly timeout?: number;
  readonly compress?: boolean;
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
  /** What declares the messages: FileDescriptorProto in JSON. */
  readonly files: readonly unknown[];
  readonly calls: readonly GrpcCall[];
}

const CLIENT = fileURLToPath(new URL('./grpc-client.py', import.meta.url));

/** Makes these calls, one after the other on one connection, with Debian's client of gRPC. */
export async function callByGrpc(client: Client): Promise<GrpcEnd[]> {
  const python = spawn(await ensureServer('python3-grpcio'), [CLIENT], { stdio: ['pipe', 'pipe', 'pipe'] });
  const [said, wrong] = [text(python.stdout), text(python.stderr)];
  python.stdin.end(JSON.stringify(client));
  const answers = await said;
  if (answers === '') throw new Error(await wrong);
  return JSON.parse(answers) as GrpcEnd[];
}
