import { CODES } from './status.ts';
import type { FileDescriptor } from './rpc.ts';
import type { Route } from '../route.ts';

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
export const SERVING = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** A status of it. */
export type Serving = (typeof SERVING)[keyof typeof SERVING];

/** What the gateway's health follows from. */
export interface HealthPorts {
  readonly isServerReady: () => boolean;
  readonly routes: () => readonly Route[];
  /** Whether a route's service has an instance in rotation. */
  readonly isReady: (route: Route) => boolean;
  /** Services of gRPC that the gateway itself serves. */
  readonly own: readonly string[];
}

/**
 * How a service is, by its name (grpc/doc/health-checking.md): empty, and what the gateway itself serves, is the gateway; a
 * route, its service, and a service of its `.proto` are well where one instance is in rotation. Undefined: there is none.
 */
export function servingOf(name: string, { isServerReady, routes, isReady, own }: HealthPorts): Serving | undefined {
  if (name === '' || own.includes(name)) return toServing(isServerReady());
  const named = routes().filter(
    ({ id, service, policy }) => id === name || service.name === name || policy.grpc?.name === name,
  );
  return named.length === 0 ? undefined : toServing(named.some(isReady));
}

/** The services of gRPC that are served, and how each is. */
export function servingOfAll(ports: HealthPorts): ReadonlyMap<string, Serving> {
  const names = ['', ...ports.own, ...ports.routes().flatMap(({ policy }) => policy.grpc?.name ?? [])];
  return new Map(names.map(name => [name, servingOf(name, ports) ?? SERVING.SERVICE_UNKNOWN]));
}

function toServing(is: boolean): Serving {
  return is ? SERVING.SERVING : SERVING.NOT_SERVING;
}

/** A `ServerReflectionRequest`, of which one member is set beside `host`. */
export type ReflectionRequest = Readonly<Partial<Record<string, unknown>>>;

/** What the gateway serves to callers of gRPC, as `grpc.reflection` tells it (grpc/doc/server-reflection.md). */
export class Reflection {
  readonly #services: readonly string[];
  readonly #byName = new Map<string, FileDescriptor>();
  readonly #bySymbol = new Map<string, FileDescriptor>();

  /** Of files of one name, and of declarations, the first counts. */
  constructor(services: readonly string[], files: readonly FileDescriptor[]) {
    this.#services = [...new Set(services)];
    for (const file of files) {
      if (this.#byName.has(file.name)) continue;
      this.#byName.set(file.name, file);
      for (const symbol of file.symbols) if (!this.#bySymbol.has(symbol)) this.#bySymbol.set(symbol, file);
    }
  }

  /** The `ServerReflectionResponse`. */
  reply(request: ReflectionRequest): object {
    return { validHost: request['host'], originalRequest: request, ...this.#said(request) };
  }

  #said({ listServices, fileByFilename, fileContainingSymbol, ...others }: ReflectionRequest): object {
    if (listServices !== undefined)
      return { listServicesResponse: { service: this.#services.map(name => ({ name })) } };
    if (typeof fileByFilename === 'string') return this.#files(this.#byName.get(fileByFilename), fileByFilename);
    if (typeof fileContainingSymbol === 'string')
      return this.#files(this.#bySymbol.get(fileContainingSymbol), fileContainingSymbol);
    if (others['fileContainingExtension'] !== undefined || others['allExtensionNumbersOfType'] !== undefined)
      return problem('NOT_FOUND', 'no extensions are reported');
    return problem('INVALID_ARGUMENT', 'nothing is asked');
  }

  /** A file, and all that it imports. */
  #files(file: FileDescriptor | undefined, name: string): object {
    if (file === undefined) return problem('NOT_FOUND', `${name} is not known here`);
    const found = new Set([file]);
    for (const { imports } of found) {
      for (const each of imports) {
        const imported = this.#byName.get(each);
        if (imported !== undefined) found.add(imported);
      }
    }
    return { fileDescriptorResponse: { fileDescriptorProto: [...found].map(({ content }) => content) } };
  }
}

function problem(code: keyof typeof CODES, errorMessage: string): object {
  return { errorResponse: { errorCode: CODES[code], errorMessage } };
}
