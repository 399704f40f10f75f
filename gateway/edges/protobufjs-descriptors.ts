import type * as Protobuf from 'protobufjs';
import type * as Descriptor from 'protobufjs/ext/descriptor.js';
import { createRequire } from 'node:module';
import type { FileDescriptor } from '../domain/grpc/rpc.ts';

/** A `.proto` and what it imports, as it was read into a root. */
export interface ReadFile {
  readonly name: string;
  readonly package: string;
  readonly imports: readonly string[];
  readonly syntax: 'proto2' | 'proto3';
}

/** With its descriptor in JSON, for those who are sent it so. */
export type DescribedFile = FileDescriptor & { readonly json: object };

type Message = Protobuf.Message & Descriptor.IDescriptorProto;

/** Files of a root as descriptors. What the library makes of maps, references and imports is mended: clients check it. */
export function fileDescriptors(root: Protobuf.Root, files: readonly ReadFile[]): DescribedFile[] {
  const require = createRequire(import.meta.url);
  const protobuf = require('protobufjs') as typeof Protobuf;
  const { FileDescriptorProto } = require('protobufjs/ext/descriptor.js') as {
    readonly FileDescriptorProto: Protobuf.Type;
  };
  return files.map(file => {
    const { name, imports, syntax } = file;
    const declared = declaredIn(root, file, protobuf);
    const types = declared.filter(each => each instanceof protobuf.Type);
    const message = FileDescriptorProto.create({
      ...{ name, package: file.package, dependency: imports, syntax },
      messageType: types.map(type => messageOf(type, syntax, protobuf)),
      enumType: declared.filter(each => each instanceof protobuf.Enum).map(each => each.toDescriptor()),
      service: declared.filter(each => each instanceof protobuf.Service).map(each => each.toDescriptor()),
    });
    const symbols = declared.flatMap(each => symbolsOf(each, protobuf));
    const content = Buffer.from(FileDescriptorProto.encode(message).finish());
    return { name, imports, symbols, json: message.toJSON(), content };
  });
}

type Library = typeof Protobuf;

function declaredIn(root: Protobuf.Root, { name, package: within }: ReadFile, { Namespace }: Library) {
  const found = within === '' ? root : root.lookup(within);
  return found instanceof Namespace ? found.nestedArray.filter(({ filename }) => filename === name) : [];
}

function symbolsOf(object: Protobuf.ReflectionObject, library: Library): string[] {
  const own = object.fullName.slice(1);
  if (object instanceof library.Service) return [own, ...object.methodsArray.map(({ name }) => `${own}.${name}`)];
  if (!(object instanceof library.Type)) return [own];
  return [own, ...object.nestedArray.flatMap(each => symbolsOf(each, library))];
}

/** A field of a map is a list of entries, whose type is called after it. */
function messageOf(type: Protobuf.Type, syntax: string, library: Library): Message {
  const message = type.toDescriptor(syntax);
  const { field: fields = [], nestedType: nested = [] } = message;
  type.fieldsArray.forEach((field, i) => {
    const described = fields[i];
    if (described === undefined) return;
    if (!(field instanceof library.MapField)) {
      if (field.resolvedType !== null) described.typeName = field.resolvedType.fullName;
      return;
    }
    const entry = nested.find(({ name, options }) => options?.mapEntry === true && name === described.typeName);
    if (entry === undefined) return;
    entry.name = `${pascal(field.name)}Entry`;
    described.typeName = `${type.fullName}.${entry.name}`;
    const value = entry.field?.[1];
    if (value !== undefined && field.resolvedType !== null) value.typeName = field.resolvedType.fullName;
  });
  const inner = type.nestedArray.filter(each => each instanceof library.Type);
  const entries = nested.filter(({ options }) => options?.mapEntry === true);
  message.nestedType = [...entries, ...inner.map(each => messageOf(each, syntax, library))];
  return message;
}

function pascal(name: string): string {
  return name.replace(/(?:^|_)([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
