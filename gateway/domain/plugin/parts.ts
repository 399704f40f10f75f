import type { RawFields } from '../http/fields.ts';
import type { Asked, Filter, Filtered, Predicate, ReplyDraft } from '../route.ts';
import type { ArgsOf, ArgSpecs, FilterDefinition, PredicateDefinition, PluginAnswer } from './define.ts';
import { PluginFailure } from './failure.ts';
import { guarded, PluginWait, rubbish } from './guard.ts';
import type { Defined } from './plugin-set.ts';
import type { PluginPorts } from './ports.ts';
import { AdmittedView, CallView, demandField, isStatus, ReplyView, RequestView } from './views.ts';

/** A part of a route that a plug-in brings: as it is written, with its arguments. */
export interface PluginPart {
  /** As the operator wrote it. */
  readonly text: string;
  readonly args: ArgsOf<ArgSpecs>;
  readonly ports: PluginPorts;
}

/** A predicate of a plug-in as one of the route's. It throws a `PluginWait` where it must wait. */
export function pluginPredicate(
  { definition, origin }: Defined<PredicateDefinition>,
  { text, args, ports }: PluginPart,
): Predicate {
  const { name, prepare, captures = [] } = definition;
  const known = new WeakMap<RawFields, Map<string, unknown>>();

  /** A preflight is asked for under two methods. */
  function preparedFor(asked: Asked): unknown {
    if (prepare === undefined) return undefined;
    const ofCall = known.get(asked.fields) ?? new Map<string, unknown>();
    if (ofCall.has(asked.method)) return ofCall.get(asked.method);
    const call = new CallView(asked);
    throw new PluginWait({
      ...{ plugin: name, timeoutMs: definition.timeoutMs, ports },
      prepare: signal => prepare({ call, args, signal }),
      keep: prepared => known.set(asked.fields, ofCall.set(asked.method, prepared)),
    });
  }

  return {
    name,
    text,
    plugin: origin,
    holds(asked, variables) {
      const prepared = preparedFor(asked);
      const held = guarded(name, ports, () => definition.holds({ call: new CallView(asked), args, prepared }));
      if (typeof held === 'boolean') return held;
      if (!areCaptures(held, captures)) throw rubbish(name, '`holds`', held);
      for (const [key, value] of Object.entries(held)) variables.set(key, value);
      return true;
    },
  };
}

function areCaptures(held: unknown, names: readonly string[]): held is Readonly<Record<string, string>> {
  if (typeof held !== 'object' || held === null || held instanceof Promise) return false;
  return Object.entries(held).every(([key, value]) => names.includes(key) && typeof value === 'string');
}

/** A filter of a plug-in as one of the route's. */
export function pluginFilter(
  { definition, origin }: Defined<FilterDefinition>,
  { text, args, ports }: PluginPart,
): Filter {
  const { name, prepare, onRequest, onReply, answer } = definition;
  const known = new WeakMap<Filtered, { readonly prepared: unknown }>();
  const aboutOf = (call: Filtered) => ({
    call: new AdmittedView(call),
    args,
    prepared: known.get(call)?.prepared,
  });
  const run = (what: string, act: () => unknown) => {
    const result = guarded(name, ports, act);
    if (result !== undefined) throw rubbish(name, what, result);
  };
  return {
    name,
    text,
    plugin: origin,
    ...(prepare && {
      prepare(call, next) {
        const view = new AdmittedView(call);
        new PluginWait({
          ...{ plugin: name, timeoutMs: definition.timeoutMs, ports },
          prepare: signal => prepare({ call: view, args, signal }),
          keep: prepared => known.set(call, { prepared }),
        }).within(call, next);
      },
    }),
    ...(onRequest && {
      onRequest: (draft, call) =>
        run('`onRequest`', () => onRequest({ ...aboutOf(call), request: new RequestView(draft) })),
    }),
    ...(onReply && {
      onReply: (draft, call) => run('`onReply`', () => onReply({ ...aboutOf(call), reply: new ReplyView(draft) })),
    }),
    ...(answer && {
      mayPass: true as const,
      onBehalf: call =>
        toAnswer(
          name,
          guarded(name, ports, () => answer(aboutOf(call))),
        ),
    }),
  };
}

type OwnAnswer = ReplyDraft & { readonly body: Buffer; readonly via: null };

function toAnswer(plugin: string, answer: PluginAnswer | undefined): OwnAnswer | undefined {
  if (answer === undefined) return undefined;
  if (typeof answer !== 'object' || !isStatus((answer as PluginAnswer | null)?.status)) {
    throw rubbish(plugin, '`answer`', answer);
  }
  const fields: string[] = [];
  try {
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      demandField(name, value);
      fields.push(name, value);
    }
    return { status: answer.status, fields, body: bodyOf(answer.body, fields), via: null };
  } catch (error) {
    throw new PluginFailure(plugin, '`answer` returned rubbish', error);
  }
}

function bodyOf(body: unknown, fields: string[]): Buffer {
  const say = (type: string) => {
    if (!fields.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type'))
      fields.push('Content-Type', type);
  };
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  if (typeof body === 'string') {
    say('text/plain; charset=utf-8');
    return Buffer.from(body);
  }
  const json: unknown = JSON.stringify(body);
  if (typeof json !== 'string') throw new TypeError('a body that JSON cannot say');
  say('application/json');
  return Buffer.from(json);
}
