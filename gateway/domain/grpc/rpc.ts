import type { HttpRule, JsonMessage } from './http-rule.ts';

/** A type of message: its bytes and its JSON, by proto3's rules. A text instead: why that cannot be. */
export interface MessageType {
  readonly name: string;
  /** With every field that cannot be absent: a model needs a column also where it is 0. */
  fromBytes(content: Buffer): JsonMessage | string;
  /** The same of a message that came as JSON: its names, numbers and defaults as in the other's. */
  fromJson(value: unknown): JsonMessage | string;
  /** R's JSON as bytes: fields that the message does not have are left out. */
  toBytes(value: unknown): Buffer | string;
  /** R's JSON as that of the message. */
  toJson(value: unknown): JsonMessage | string;
}

/** One method of a service, as a `.proto` declares it. */
export interface RpcMethod {
  readonly name: string;
  /** In the order in which they are tried; none: it is not served. */
  readonly rules: readonly HttpRule[];
  /** More than one message goes in, or comes out. */
  readonly isStreaming: boolean;
  /** `idempotency_level = NO_SIDE_EFFECTS`: Connect may call it by GET. */
  readonly isSafe: boolean;
  readonly request: MessageType;
  readonly response: MessageType;
}

/** A service, as a `.proto` declares it. */
export interface RpcService {
  /** With its package. */
  readonly name: string;
  readonly methods: ReadonlyMap<string, RpcMethod>;
  /** The `.proto` and what it imports, for callers who ask what is served here. */
  readonly describe?: () => readonly FileDescriptor[];
}

/** A `.proto` as a `google.protobuf.FileDescriptorProto`, and what it declares. */
export interface FileDescriptor {
  readonly name: string;
  readonly imports: readonly string[];
  /** Messages, enumerations, and services with their methods, by their full names. */
  readonly symbols: readonly string[];
  readonly content: Buffer;
}

/** Why a `.proto` is of no use; `isOfService`: it is sound, and does not declare the service. */
export interface ProtoProblem {
  readonly problem: string;
  readonly isOfService?: boolean;
}

/** Reads a `.proto`, named relative to the routes file, for one of its services, or for its only one. */
export type ProtoIn = (file: string, service: string | undefined) => RpcService | ProtoProblem;
