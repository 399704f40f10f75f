import { randomUUID } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express } from 'express';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { toProblem } from '../../domain/problem.ts';

/** Takes a request of Node's server. */
export type Handle = (req: IncomingMessage, res: ServerResponse) => void;

/** Express, with all that comes in given to one handler. */
export function createApp(handle: Handle, observe: Observe): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(handle);
  app.use(problemHandler(observe));
  return app;
}

/** Express's last word, for what fails outside the flow: the same problem that a stage's failure becomes. */
function problemHandler(observe: Observe): ErrorRequestHandler {
  // eslint-disable-next-line max-params, @typescript-eslint/no-unused-vars -- Express knows it by its four parameters
  return (error: unknown, _req, res, _next) => {
    const id = randomUUID();
    observe({ kind: 'internal-error', where: 'express', error, requestId: id });
    if (res.headersSent) {
      res.destroy();
      return;
    }
    const { status, fields, body } = toProblem(new GatewayError('INTERNAL', 'outside the flow'), id);
    res.writeHead(status, [...fields, 'X-Request-Id', id, 'Connection', 'close']);
    res.end(body);
  };
}

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
