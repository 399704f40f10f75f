import { GatewayError } from '../../domain/errors.ts';

/** Refuses what a path is not there for, and says what it is there for. */
export function allowOnly(...methods: readonly string[]): () => never {
  const allow = methods.join(', ');
  return () => {
    throw new GatewayError('METHOD_NOT_ALLOWED', `only ${allow}`, { fields: ['Allow', allow] });
  };
}
