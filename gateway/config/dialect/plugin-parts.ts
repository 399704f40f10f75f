import type { ArgSpec, ArgSpecs, ArgsOf } from '../../domain/plugin/define.ts';
import { pluginFilter, pluginPredicate } from '../../domain/plugin/parts.ts';
import type { LoadedPlugins } from '../../domain/plugin/plugin-set.ts';
import { FILTER_NAMES, OUR_WAY, PREDICATE_NAMES } from '../schema/dialect-names.ts';
import { durationMs, sizeBytes } from '../units.ts';
import { FILTERS } from './filters.ts';
import type { FilterDefinition, MadeFilter, Part, PartDefinition } from './part.ts';
import { PREDICATES, type MadePredicate } from './predicates.ts';

/** The predicates and filters that routes may name. */
export interface Dialect {
  readonly predicates: ReadonlyMap<string, PartDefinition<MadePredicate>>;
  readonly filters: ReadonlyMap<string, FilterDefinition>;
  /** Which version of the plug-ins it has: another one means other routes. */
  readonly version: number;
}

/** The gateway's own. */
export const DIALECT: Dialect = { predicates: PREDICATES, filters: FILTERS, version: 0 };

/** True for a name that no plug-in may take: it means something here, in Spring Cloud Gateway, or will one day. */
export function isDialectName(name: string): boolean {
  return OF_DIALECT.has(name) || OUR_WAY.has(name);
}

const OF_DIALECT: ReadonlySet<string> = new Set([...PREDICATE_NAMES, ...FILTER_NAMES]);

/** The gateway's own, and those of plug-ins. */
export function dialectWith({ ports, ...plugins }: LoadedPlugins): Dialect {
  const predicates = [...plugins.predicates].map(([name, defined]): [string, PartDefinition<MadePredicate>] => [
    name,
    {
      ...partOf(name, defined.definition.args),
      make(part) {
        const args = argsOf(part, defined.definition.args);
        if (args === undefined) return undefined;
        const predicate = pluginPredicate(defined, { text: part.written.text, args, ports });
        return { predicate, captures: defined.definition.captures ?? [] };
      },
    },
  ]);
  const filters = [...plugins.filters].map(([name, defined]): [string, FilterDefinition] => [
    name,
    {
      ...partOf(name, defined.definition.args),
      make(part): MadeFilter | undefined {
        const args = argsOf(part, defined.definition.args);
        return args && { filter: pluginFilter(defined, { text: part.written.text, args, ports }) };
      },
    },
  ]);
  return {
    predicates: new Map([...PREDICATES, ...predicates]),
    filters: new Map([...FILTERS, ...filters]),
    version: plugins.version,
  };
}

function partOf(name: string, specs: ArgSpecs = {}): Omit<PartDefinition<never>, 'make'> {
  const fields = Object.keys(specs);
  const required = Object.values(specs).filter(({ optional }) => optional !== true).length;
  const takesRest = Object.values(specs).at(-1)?.type === 'list';
  const example = fields.length === 0 ? name : `${name}=${fields.map(field => exampleOf(specs[field])).join(', ')}`;
  return { shape: 'fields', fields, required, takesRest, manual: '', example };
}

function exampleOf(spec: ArgSpec | undefined): string {
  if (spec?.type === 'text') return spec.oneOf?.[0] ?? 'text';
  return { integer: '1', number: '0.5', boolean: 'true', duration: '1s', size: '1MiB', list: 'a, b' }[
    spec?.type ?? 'list'
  ];
}

/** The arguments; undefined after saying what is wrong with which. */
function argsOf(part: Part, specs: ArgSpecs = {}): ArgsOf<ArgSpecs> | undefined {
  const args: Record<string, unknown> = {};
  let isSound = true;
  for (const [field, spec] of Object.entries(specs)) {
    const read = valueOf(part, field, spec);
    if ('problem' in read) {
      isSound = false;
      part.complain(`${field} ${read.problem}`, { piece: read.piece });
    } else args[field] = read.value;
  }
  return isSound ? (args as ArgsOf<ArgSpecs>) : undefined;
}

type ReadValue = { readonly value: unknown } | { readonly problem: string; readonly piece: string };

function valueOf(part: Part, field: string, spec: ArgSpec): ReadValue {
  const text = part.one(field);
  if (text === undefined) return { value: undefined };
  if (spec.type === 'list') return { value: part.all(field) };
  if (spec.type === 'text') return textOf(text, spec);
  if (spec.type === 'boolean') {
    if (/^(?:true|false)$/i.test(text)) return { value: text.toLowerCase() === 'true' };
    return { problem: 'must be true or false', piece: text };
  }
  return amountOf(text, spec);
}

function textOf(text: string, { oneOf, pattern }: ArgSpec & { readonly type: 'text' }): ReadValue {
  if (oneOf !== undefined && !oneOf.includes(text)) {
    return { problem: `must be one of ${oneOf.join(', ')}`, piece: text };
  }
  if (pattern !== undefined && text.search(pattern) === -1) {
    return { problem: `must match ${pattern.source}`, piece: text };
  }
  return { value: text };
}

type AmountSpec = Exclude<ArgSpec, { readonly type: 'text' | 'boolean' | 'list' }>;

function amountOf(text: string, { type, min = -Infinity, max = Infinity }: AmountSpec): ReadValue {
  const value = AMOUNTS[type].read(text);
  if (value === undefined) return { problem: `must be ${AMOUNTS[type].what}`, piece: text };
  if (value >= min && value <= max) return { value };
  const unit = { integer: '', number: '', duration: ' ms', size: ' bytes' }[type];
  const least = min === -Infinity ? '' : ` at least ${min}${unit}`;
  const most = max === Infinity ? '' : ` at most ${max}${unit}`;
  return { problem: `must be${[least, most].filter(Boolean).join(' and')}`, piece: text };
}

const AMOUNTS: Readonly<Record<AmountSpec['type'], { readonly what: string; read(text: string): number | undefined }>> =
  {
    integer: { what: 'a whole number', read: text => (/^-?\d{1,15}$/.test(text) ? Number(text) : undefined) },
    number: {
      what: 'a number',
      read: text => (/^-?\d{1,15}(?:\.\d{1,15})?(?:e-?\d{1,3})?$/i.test(text) ? Number(text) : undefined),
    },
    duration: { what: 'a duration, as 250ms is one', read: durationMs },
    size: { what: 'a size, as 64KiB is one', read: sizeBytes },
  };
