import type { Admitted, Complete } from '../domain/call.ts';
import { GatewayError } from '../domain/errors.ts';
import {
  contentCodingOf,
  unpackedOrRefused,
  withoutCoding,
  type ContentCoding,
  type Unpack,
} from '../domain/http/content-coding.ts';

/** Takes a call's body in, and goes on with it. */
export type Receive = (call: Admitted, next: (call: Complete) => void) => void;

/**
 * Bodies up to each route's bound; what belongs to a stream is refused by the name of the key it lacks. A body that comes
 * compressed is unpacked, up to the same bound: R could not read it.
 */
export function createReceive({ unpack }: { readonly unpack: Unpack }): Receive {
  return function receive(call, next) {
    if (call.isUpgrade) throw streamNotEnabled(call);
    const coding = contentCodingOf(call.fields);
    if (call.body.length === 0) {
      if (coding !== undefined) call.fields = withoutCoding(call.fields); // R would look for what it could unpack
      next(call as unknown as Complete);
      return;
    }
    const { bodyBytesMax } = call.route.policy;
    if (coding === undefined) call.receive(bodyBytesMax, next);
    else call.receive(bodyBytesMax, packed => unpacked(packed, coding, next));
  };

  function unpacked(call: Complete, coding: ContentCoding, next: (call: Complete) => void): void {
    const { bodyBytesMax } = call.route.policy;
    call.awaits(unpack(call.content, coding, bodyBytesMax), content => {
      call.content = unpackedOrRefused(content, bodyBytesMax);
      call.fields = withoutCoding(call.fields);
      next(call);
    });
  }
}

function streamNotEnabled({ route }: Admitted): GatewayError {
  return new GatewayError('STREAM_NOT_ENABLED', `an upgrade on route ${route.id}, which carries no streams`);
}
