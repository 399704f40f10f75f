import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/** What Node's server is told to make of requests and responses. */
interface Messages {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/**
 * Classes of requests and responses that are Express's own from the start.
 *
 * Express gives every request and response another prototype, which makes all that touches them afterwards slow, Node
 * itself included: a third of what Express costs. Where they have that prototype already, nothing changes.
 */
export function messagesOf(app: Express): Messages {
  class Request extends IncomingMessage {}
  class Response<R extends IncomingMessage = IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(Request.prototype, app.request);
  Object.setPrototypeOf(Response.prototype, app.response);
  Object.assign(app, { request: Request.prototype, response: Response.prototype });
  return { IncomingMessage: Request, ServerResponse: Response };
}
