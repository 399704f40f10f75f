import { publicPathOf } from '../domain/grpc/rpc-table.ts';
import type { ProtoIn, RpcService } from '../domain/grpc/rpc.ts';
import type { RouteSpec } from '../domain/route.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { WrittenPolicy } from './schema/route-policy.ts';

/** Where the key stands, and what reads the file that it names. */
export interface GrpcPlace {
  readonly complain: Complain;
  readonly path: KeyPath;
  readonly protoIn?: ProtoIn | undefined;
}

/** The service that a route serves to callers of gRPC; undefined, after a complaint, where its `.proto` is of no use. */
export function grpcOf(
  written: NonNullable<WrittenPolicy['grpc']>,
  { complain, path, protoIn }: GrpcPlace,
): RpcService | undefined {
  const { proto, service } = written;
  const read = protoIn?.(proto, service) ?? { problem: `${proto} cannot be read here` };
  if ('problem' in read) {
    complain({ path: [...path, read.isOfService === true ? 'service' : 'proto'], message: read.problem });
    return undefined;
  }
  const unserved = [...read.methods.values()].filter(({ rules }) => rules.length === 0);
  if (unserved.length === read.methods.size) {
    complain({
      path: [...path, 'proto'],
      message: `no method of ${read.name} says by \`google.api.http\` what it is in REST`,
    });
    return undefined;
  }
  for (const { name, isStreaming } of unserved) {
    const why = isStreaming ? 'it streams, and R answers once' : 'it has no `google.api.http`';
    complain({ path: [...path, 'proto'], severity: 'warning', message: `${read.name}.${name} is not served: ${why}` });
  }
  return read;
}

/** What a rule names must be what callers of REST can ask of the route: then it is the same that R is sent. */
export function complainOfRules(spec: RouteSpec, { complain, path }: Omit<GrpcPlace, 'protoIn'>): void {
  const { name = '', methods } = spec.policy.grpc ?? {};
  for (const method of methods?.values() ?? []) {
    for (const rule of method.rules) {
      if (publicPathOf(spec, rule) !== undefined) continue;
      const what = `${rule.method} ${rule.path.text}, which ${name}.${method.name} is in REST`;
      complain({
        path: [...path, 'proto'],
        message: `the predicates and filters of the route lead no call to ${what}`,
      });
    }
  }
}
