import { ANSWER_FILTERS } from './answer-filters.ts';
import { FIELD_FILTERS } from './field-filters.ts';
import type { FilterDefinition } from './made-filter.ts';
import { TARGET_FILTERS } from './target-filters.ts';

/** The filters there are, by name, in the order of the alphabet. */
export const FILTERS: ReadonlyMap<string, FilterDefinition> = new Map(
  [...FIELD_FILTERS, ...TARGET_FILTERS, ...ANSWER_FILTERS].sort(([a], [b]) => (a < b ? -1 : 1)),
);
