import type { Clock } from './domain/clock.ts';
import type { Deadlines } from './domain/deadlines.ts';
import { toGatewayError, type InputError } from './domain/errors.ts';
import type { Observe } from './domain/events.ts';
import type { Route, ValidatePolicy } from './domain/route.ts';
import type { SendUpstream } from './domain/upstream.ts';
import type { InputRequest } from './domain/validation/arguments.ts';
import type { InputSchema } from './domain/validation/input.ts';
import { judgeInput } from './domain/validation/judge.ts';
import { PublishedSchemas } from './domain/validation/published.ts';
import { compilePublishedSchema } from './edges/ajv.ts';
import { OwnRequests } from './stages/batch-proof.ts';
import { createValidate, type Validate } from './stages/validate.ts';
import { SchemaWatch } from './stages/validate-schemas.ts';

/** Holds input against what services take. What they have published outlives reloads. */
export interface Validation {
  readonly validate: Validate;
  readonly columnsFor: SchemaWatch['columnsFor'];
  /** How a route's calls are validated; null: they are not. */
  view(routeId: string): unknown;
  /** What validation says of a request that the service would be sent so; null: nothing. */
  verdict(routeId: string, request: InputRequest): RefusedInput | null;
  /** What a service publishes is asked for anew; says at how many paths. */
  recheck(service: string): number;
  close(): void;
}

/** How a call would be refused for its input. */
interface RefusedInput {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly InputError[];
}

interface ValidationParts {
  readonly send: SendUpstream;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** Puts together what validates calls. */
export function composeValidation({ send, routes, clock, deadlines, observe }: ValidationParts): Validation {
  const own = new OwnRequests({ send, clock, deadlines });
  const schemas = new PublishedSchemas();
  const watch = new SchemaWatch({ schemas, own, compile: compilePublishedSchema, clock, observe, routes });
  const routeOf = (routeId: string) => routes().find(({ id }) => id === routeId);
  return {
    validate: createValidate(watch),
    columnsFor: watch.columnsFor,
    view(routeId) {
      const route = routeOf(routeId);
      return route === undefined ? null : watch.view(route);
    },
    verdict(routeId, request) {
      const route = routeOf(routeId);
      const policy = route?.policy.validate;
      return route === undefined || policy === undefined
        ? null
        : refusalOf(policy, request, watch.schemasFor(route, request));
    },
    recheck: service => schemas.recheck(service),
    close: () => watch.close(),
  };
}

function refusalOf(
  policy: ValidatePolicy,
  request: InputRequest,
  schemas: readonly InputSchema[],
): RefusedInput | null {
  try {
    judgeInput(policy, request, schemas);
    return null;
  } catch (error) {
    const { status, code, detail, errors = [] } = toGatewayError(error);
    return { status, code, detail, errors };
  }
}
