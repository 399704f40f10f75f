import type { Admitted, Complete } from '../domain/call.ts';
import { GatewayError } from '../domain/errors.ts';

/** Takes a call's body in, and goes on with it. */
export type Receive = (call: Admitted, next: (call: Complete) => void) => void;

/** Bodies up to each route's bound; what belongs to a stream is refused by the name of the key it lacks. */
export function createReceive(): Receive {
  return function receive(call, next) {
    if (call.isUpgrade) throw streamNotEnabled(call);
    if (call.body.length === 0) next(call as unknown as Complete);
    else call.receive(call.route.policy.bodyBytesMax, next);
  };
}

function streamNotEnabled({ route }: Admitted): GatewayError {
  return new GatewayError('STREAM_NOT_ENABLED', `an upgrade on route ${route.id}, which carries no streams`);
}
