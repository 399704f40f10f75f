import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { diffRoutes, type Change, type RoutesDiff } from '../config/diff-routes.ts';
import { hasError, renderProblems } from '../config/problem.ts';
import { judgedBy, judgeRoutes } from '../load.ts';
import {
  argumentProblem,
  commandOf,
  printableLine,
  PROFILE_OPTION,
  profilesOf,
  type CommandIo,
  type Run,
} from './io.ts';

const HELP = `penstock diff OLD NEW [--profile NAME]… [--json]

Says what a change of routes.yaml means: routes that are added, removed, tried in another order or no longer reached,
and what each route and service is told otherwise. What is only written otherwise is no change. Exits with 1 when one
of the files has an error.

  OLD NEW         two routes files
  --profile NAME  takes in the documents for this profile, where the routes were written for Spring Cloud Gateway;
                  may be given again
  --json          the change as one JSON object
`;

const OPTIONS = {
  ...PROFILE_OPTION,
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** The command that says what a change of the routes means. */
export const run: Run = commandOf({ prefix: 'penstock diff: ', help: HELP, readArgs, act: print });

interface DiffOptions {
  readonly old: string;
  readonly now: string;
  readonly profiles: readonly string[];
  readonly isJson: boolean;
}

function readArgs(args: readonly string[]): DiffOptions | 'help' | Error {
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
    const [old, now, ...others] = positionals;
    if (values.help) return 'help';
    if (old === undefined || now === undefined || others.length > 0) return new Error('OLD and NEW are wanted');
    return { old, now, profiles: profilesOf(values.profile), isJson: values.json };
  } catch (error) {
    return new Error(argumentProblem(error, Object.keys(OPTIONS)));
  }
}

function print({ old, now, profiles, isJson }: DiffOptions, io: CommandIo): number {
  const [before, after] = [old, now].map(name => soundRoutes(resolve(io.cwd, name), profiles, io));
  if (before === undefined || after === undefined) return 1;
  const diff = diffRoutes(before, after);
  io.stdout.write(isJson ? `${JSON.stringify(diff, null, 2)}\n` : inWords(diff));
  return 0;
}

/** A file that can be used; undefined after its problems were told. */
function soundRoutes(routesFile: string, profiles: readonly string[], { env, stderr }: CommandIo) {
  const { file, routes, problems, texts } = judgeRoutes({
    ...judgedBy(undefined),
    routesFile,
    variables: env,
    profiles,
  });
  const text = texts.get(routesFile);
  if (file !== undefined && routes !== undefined && text !== undefined && !hasError(problems)) {
    return { file, text, specs: routes.specs };
  }
  stderr.write(`${renderProblems(problems, texts)}\n`);
  return undefined;
}

function inWords(diff: RoutesDiff): string {
  const { added, removed, changed, moved, shadowed, defaults, defaultFilters, services } = diff;
  const lines = [
    ...added.map(({ route, uri, predicates }) => `+ ${route}  ${[uri, ...predicates].join(' · ')}`),
    ...removed.map(({ route, uri, predicates }) => `- ${route}  ${[uri, ...predicates].join(' · ')}`),
    ...changed.flatMap(({ route, changes }) => [`~ ${route}`, ...changes.map(changeText)]),
    ...moved.map(({ route, after }) => `> ${route} is tried ${after === null ? 'first' : `after ${after}`}`),
    ...shadowed.map(({ route, by }) => `! ${route} can never be reached: ${by.join(' and ')} before it`),
    ...(defaults.length === 0 ? [] : ['~ defaults']),
    ...defaults.map(change => `${changeText(change)}  (${routesText(change.routes)})`),
    ...(defaultFilters.length === 0 ? [] : ['~ every route', ...defaultFilters.map(changeText)]),
    ...services.flatMap(({ service, changes }) => [`~ service ${service}`, ...changes.map(changeText)]),
  ];
  return lines.length === 0 ? 'Nothing changes.\n' : `${lines.map(printableLine).join('\n')}\n`;
}

const PARTS = ['predicates', 'filters', 'default-filters'];

function changeText({ key, before, after }: Change): string {
  if (PARTS.includes(key) && before === null) return `    ${key}: + ${after ?? ''}`;
  if (PARTS.includes(key) && after === null) return `    ${key}: - ${before ?? ''}`;
  return `    ${key}: ${before ?? 'not written'} → ${after ?? 'not written'}`;
}

const NAMED_MAX = 10;

function routesText(routes: readonly string[]): string {
  if (routes.length === 0) return 'no route of both files';
  const more = routes.length - NAMED_MAX;
  return `${routes.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
