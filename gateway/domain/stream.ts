import type { CallerSide } from './call.ts';
import type { GatewayError } from './errors.ts';
import type { UpstreamTls } from './service.ts';
import type { Answer, ExchangeEnd, UpstreamAnswer, UpstreamMessage } from './upstream.ts';

/** How a stream ended on the instance's side; 'answered' is any end that the instance is not at fault for. */
export type StreamEnd = { readonly kind: 'answered' } | Exclude<ExchangeEnd, { readonly kind: 'answered' }>;

/** What a carrier says of a stream. */
export interface StreamListener {
  onInterim(status: number, fields: string[]): void;
  /** The instance's answer has begun; gives what the caller is to be sent of it, or throws why that cannot be. */
  onHead(answer: UpstreamAnswer): Pick<Answer, 'status' | 'fields'>;
  /** Once, last. */
  onEnd(end: StreamEnd): void;
}

/** A stream that is to be carried to an instance. */
export interface StreamOptions {
  /** Of the edge that accepted the call: its request is taken from there, and its answer goes there. */
  readonly wire: CallerSide;
  readonly origin: string;
  /** Its body is still to come. */
  readonly message: UpstreamMessage;
  readonly isHeadOnly: boolean;
  readonly connectTimeoutMs: number;
  /** How its connection is secured, where the origin asks for that; undefined: in the usual way. */
  readonly tls: UpstreamTls | undefined;
  /** Without a byte in either direction for so long it is ended. */
  readonly idleMsMax: number;
  /** Of the request's body, counted as it passes; what comes after a switch of protocols is none. */
  readonly bodyBytesMax: number;
  readonly listener: StreamListener;
}

/** A stream under way. */
export interface CarriedStream {
  readonly connectMs: number | null;
  readonly firstByteMs: number | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Another instance can have the caller's body whole. Absent: it cannot. */
  readonly isUntouched?: boolean;
  /** Its caller is gone, or the call is over; the listener is called with the end once more. */
  leave(reason: GatewayError): void;
}

/** Carries streams and upgrades by itself, from the caller's connection to the instance's. */
export interface Carrier {
  carry(options: StreamOptions): CarriedStream;
}
