import type { Complete } from '../domain/call.ts';
import type { Route } from '../domain/route.ts';
import { inputOf, judgeInput } from '../domain/validation/judge.ts';
import type { InputRequest } from '../domain/validation/arguments.ts';
import type { InputSchema } from '../domain/validation/input.ts';
import type { PublishedSchema } from '../domain/validation/published.ts';

/** Refuses a call whose input its service cannot take, and goes on with the others. */
export type Validate = (call: Complete, next: (call: Complete) => void) => void;

interface ValidatePorts {
  /** What is known of what a service publishes for such a request; undefined: it does not concern it. */
  readonly publishedFor: (route: Route, request: InputRequest) => PublishedSchema | undefined;
  /** Has the service asked, if it may be; resolves when it has said what it takes, or enough was waited. */
  readonly ensure: (route: Route, published: PublishedSchema) => Promise<void>;
}

const NO_SCHEMAS: readonly InputSchema[] = [];

/**
 * Holds the input of calls against what their service takes, on routes with `validate`.
 *
 * A call is refused where every version that may answer it would refuse it. It waits only where the service has not yet
 * said what it takes. A service that publishes nothing gets every call. Throws INVALID_INPUT, and BAD_REQUEST for what is
 * no JSON.
 */
export function createValidate({ publishedFor, ensure }: ValidatePorts): Validate {
  return function validate(call, next) {
    const { route } = call;
    const policy = route.policy.validate;
    if (policy === undefined) {
      next(call);
      return;
    }
    const request = inputOf(call);
    if (typeof policy.from === 'object') {
      judgeInput(policy, request, policy.from.schemas);
      next(call);
      return;
    }
    const published = publishedFor(route, request);
    const known = published?.of(route.service.versions);
    if (published !== undefined && known?.isOpen === true) {
      call.awaits(ensure(route, published), () => {
        judgeInput(policy, request, published.of(route.service.versions).schemas);
        next(call);
      });
      return;
    }
    judgeInput(policy, request, known?.schemas ?? NO_SCHEMAS);
    next(call);
  };
}
