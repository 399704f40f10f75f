import { GatewayError } from '../domain/errors.ts';
import { learn, type Admitted, type Complete, type Stages } from '../domain/exchange.ts';

const NOTHING = Buffer.alloc(0);

/** Takes the body in, up to the route's bound; what belongs to a stream is refused by the name of the key it lacks. */
export function createReceive(): Stages['receive'] {
  return admitted => {
    if (admitted.isUpgrade) return Promise.reject(streamNotEnabled(admitted));
    if (admitted.body.length === 0) return Promise.resolve(learn(admitted, { content: NOTHING }));
    return takeIn(admitted);
  };
}

async function takeIn(admitted: Admitted): Promise<Complete> {
  const { body, deadline, notes, route } = admitted;
  const content = await body.read(route.policy.bodyBytesMax, deadline.signal);
  notes.bytesIn = content.length;
  return learn(admitted, { content });
}

function streamNotEnabled({ route }: Admitted): GatewayError {
  return new GatewayError('STREAM_NOT_ENABLED', `an upgrade on route ${route.id}, which carries no streams`);
}
