import type { GatewayError } from '../errors.ts';
import { CODES, type RpcStatus } from './status.ts';

/** What a failure says beyond its code, in the form that gRPC's clients read (google/rpc/error_details.proto). */
export interface Detail {
  /** The message's name. */
  readonly type: string;
  readonly value: Buffer;
}

/** The gateway's code, for programs; and what of the input is wrong, by its place. */
export function detailsOf(failure: GatewayError): Detail[] {
  const reason = { type: 'google.rpc.ErrorInfo', value: Buffer.concat([text(1, failure.code), text(2, 'penstock')]) };
  if (failure.errors === undefined) return [reason];
  const violations = failure.errors.map(({ pointer, detail }) =>
    bytes(1, Buffer.concat([text(1, pointer), text(2, detail)])),
  );
  return [reason, { type: 'google.rpc.BadRequest', value: Buffer.concat(violations) }];
}

/** `grpc-status-details-bin`: a google.rpc.Status in base64; undefined where there is nothing to add. */
export function statusDetails({ code, message, failure }: RpcStatus): string | undefined {
  if (failure === undefined) return undefined;
  const details = detailsOf(failure).map(({ type, value }) =>
    bytes(3, Buffer.concat([text(1, `type.googleapis.com/${type}`), bytes(2, value)])),
  );
  const status = Buffer.concat([Buffer.from([0x08, CODES[code]]), text(2, message), ...details]);
  return status.length > BYTES_MAX ? undefined : status.toString('base64').replace(/=+$/, '');
}

/** Clients take 8 KiB of fields, all together. */
const BYTES_MAX = 4 * 1_024;

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value, 'utf8'));
}

/** A field that has a length, in protobuf's wire format. */
function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2]), varint(value.length), value]);
}

function varint(number: number): Buffer {
  const digits: number[] = [];
  let rest = number;
  for (; rest > 0x7f; rest >>>= 7) digits.push((rest & 0x7f) | 0x80);
  return Buffer.from([...digits, rest]);
}
