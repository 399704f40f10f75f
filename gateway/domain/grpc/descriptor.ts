/** A `.proto` as a `google.protobuf.FileDescriptorProto`, and what it declares. */
export interface FileDescriptor {
  readonly name: string;
  readonly imports: readonly string[];
  /** Messages, enumerations, and services with their methods, by their full names. */
  readonly symbols: readonly string[];
  readonly content: Buffer;
}
