import { CODES } from './status.ts';

/** A `.proto` as a `google.protobuf.FileDescriptorProto`, and what it declares. */
export interface FileDescriptor {
  readonly name: string;
  readonly imports: readonly string[];
  /** Messages, enumerations, and services with their methods, by their full names. */
  readonly symbols: readonly string[];
  readonly content: Buffer;
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
      return problem('NOT_FOUND', 'no extensions are told of');
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
