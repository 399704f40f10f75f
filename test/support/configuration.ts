import { compileRoutes, type CompiledRoutes, type CompileOptions } from '../../gateway/config/compile.ts';
import { parseRoutes } from '../../gateway/config/parse-routes.ts';
import { parseGateway, type ParsedGateway } from '../../gateway/config/parse.ts';
import { problemLine, type Problem } from '../../gateway/config/problem.ts';
import type { Surroundings } from '../../gateway/config/references.ts';
import { explain, type Explanation } from '../../gateway/domain/operating/explain.ts';
import { compileJsonSchema } from '../../gateway/edges/ajv.ts';
import { readProto } from '../../gateway/edges/protobufjs.ts';
import { compileRegex } from '../../gateway/edges/re2js.ts';

/** What a file in a test may refer to. */
export interface Around {
  readonly variables?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  /** Which documents of a Spring file are in force. */
  readonly profiles?: readonly string[];
}

/** A file in the folder /etc/penstock, with this environment and these files around it. */
export function surroundings(file: string, { variables = {}, files = {} }: Around = {}): Surroundings {
  return {
    file,
    variables,
    absolute: path => (path.startsWith('/') ? path : `/etc/penstock/${path}`),
    readText: path => files[path],
    whyUnread: () => 'no such file or directory (ENOENT)',
  };
}

/** gateway.yaml of this text. */
export function gatewayOf(text: string, around?: Around): ParsedGateway {
  return parseGateway(text, surroundings('gateway.yaml', around));
}

/** routes.yaml of this text, where no identity is configured unless said otherwise. */
export function routesOf(text: string, options: Partial<CompileOptions> & Around = {}): CompiledRoutes {
  const file = parseRoutes(text, surroundings('routes.yaml', options), options.profiles);
  const { files = {} } = options;
  const schemaIn = (path: string) => {
    const text = files[path];
    return text === undefined ? { problem: 'cannot be read' } : compileJsonSchema(JSON.parse(text));
  };
  const protoIn = (name: string, service: string | undefined) =>
    readProto({ name, read: path => files[path] }, service);
  return compileRoutes(file, { ...{ identityConfigured: false, compileRegex, schemaIn, protoIn }, ...options });
}

/** Routes of this text, which must hold no problem. */
export function soundRoutes(text: string, options: Partial<CompileOptions> & Around = {}): CompiledRoutes {
  const routes = routesOf(text, options);
  const problems = routes.problems.filter(({ message }) => !message.startsWith('can never be reached')); // tests need no paths
  if (problems.length > 0) throw new Error(problems.map(problemLine).join('\n'));
  return routes;
}

/** Problems as `line:column severity path: message`. */
export function reported(problems: readonly Problem[]): string[] {
  return problems.map(
    ({ line, column, severity, path, message }) =>
      `${line}:${column} ${severity} ${path === '' ? '' : `${path}: `}${message}`,
  );
}

/** A request in short: `GET /a?b=c`, and its header fields. */
export interface Request {
  readonly line: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly wallMs?: number;
}

/** How a request travels through these routes. */
export function explained(routes: CompiledRoutes, { line, headers = [], body = '', wallMs = 0 }: Request): Explanation {
  const [method = '', url = ''] = line.split(' ');
  return explain(
    { method, url, fields: headers, body },
    { routes: routes.specs, mergeSlashes: false, policyOf: name => routes.policyOf(name), wallMs },
  );
}
