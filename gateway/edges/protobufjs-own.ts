import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Protobuf from 'protobufjs';
import type * as ProtoJson from 'protobufjs/ext/protojson.js';
import type { OwnMessages } from '../domain/grpc/own-rpc.ts';
import { fileDescriptors, type DescribedFile } from './protobufjs-descriptors.ts';

/** The published files of the services that the gateway itself serves, each with its licence. */
const FILES = new URL('./grpc/protos/', import.meta.url);

/** A published service. */
export interface OwnProto {
  /** Its methods, by path. */
  readonly methods: ReadonlyMap<string, OwnMessages>;
  readonly descriptor: DescribedFile;
}

/** Reads a published service. The library is loaded with the first: it takes a tenth of a second. */
export function readOwnProto(file: string, service: string): OwnProto {
  const require = createRequire(import.meta.url);
  const { parse } = require('protobufjs') as typeof Protobuf;
  const json = require('protobufjs/ext/protojson.js') as typeof ProtoJson;
  Object.assign(parse, { filename: file }); // whose each declaration is; its types do not have it
  const { root } = parse(readFileSync(new URL(file, FILES), 'utf8'));
  root.resolveAll();
  const messagesOf = ({ resolvedRequestType, resolvedResponseType }: Protobuf.Method): OwnMessages => {
    if (resolvedRequestType === null || resolvedResponseType === null) throw new Error(`${file} is not whole`);
    return {
      read: (content, format) => read(resolvedRequestType, { content, json: format === 'json' ? json : undefined }),
      write(message, format) {
        if (format === 'json') return Buffer.from(JSON.stringify(json.toJson(resolvedResponseType, message)));
        const { buffer, byteOffset, byteLength } = resolvedResponseType.encode(message).finish();
        return Buffer.from(buffer, byteOffset, byteLength);
      },
    };
  };
  const { methodsArray } = root.lookupService(service);
  const within = service.slice(0, service.lastIndexOf('.'));
  const [descriptor] = fileDescriptors(root, [{ name: file, package: within, imports: [], syntax: 'proto3' }]);
  if (descriptor === undefined) throw new Error(`${file} is not whole`);
  return {
    methods: new Map(methodsArray.map(method => [`/${service}/${method.name}`, messagesOf(method)])),
    descriptor,
  };
}

interface Reading {
  readonly content: Buffer;
  /** Undefined: it is in bytes. */
  readonly json: typeof ProtoJson | undefined;
}

function read(type: Protobuf.Type, { content, json }: Reading): object | string {
  try {
    if (json === undefined) return type.decode(content);
    return json.fromJson(type, JSON.parse(content.length === 0 ? '{}' : content.toString('utf8')));
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).slice(0, PROBLEM_LENGTH_MAX);
  }
}

const PROBLEM_LENGTH_MAX = 256;
