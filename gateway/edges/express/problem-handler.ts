import type { ErrorRequestHandler } from 'express';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { toProblem } from '../../domain/problem.ts';

/** Express's last word, for what fails outside the flow: the same problem that a stage's failure becomes. */
export function problemHandler(observe: Observe, requestId: () => string): ErrorRequestHandler {
  // eslint-disable-next-line max-params, @typescript-eslint/no-unused-vars -- Express knows it by its four parameters
  return (error: unknown, _req, res, _next) => {
    const id = requestId();
    observe({ kind: 'internal-error', where: 'express', error, requestId: id });
    if (res.headersSent) res.destroy();
    else {
      const { status, rawHeaders, body } = toProblem(new GatewayError('INTERNAL', 'outside the flow'), id);
      res.writeHead(status, [...rawHeaders, 'X-Request-Id', id, 'Connection', 'close']);
      res.end(body);
    }
  };
}
