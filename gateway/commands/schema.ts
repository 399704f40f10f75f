import { nearestOf } from '../config/nearest.ts';
import { jsonSchemaOf, type SchemaName } from '../config/json-schema.ts';
import { argumentProblem, USAGE_ERROR, type CommandIo, type Run } from './io.ts';

const HELP = `penstock schema gateway|routes

Prints the JSON Schema of gateway.yaml or routes.yaml, for completion and hints in an editor.
`;

const NAMES: readonly SchemaName[] = ['gateway', 'routes'];

/** The command that prints a schema. */
export const run: Run = (args, io) => Promise.resolve(print(args, io));

function print(args: readonly string[], { stdout, stderr }: CommandIo): number {
  if (args.includes('--help')) {
    stdout.write(HELP);
    return 0;
  }
  const option = args.find(arg => arg.startsWith('-') && arg !== '--json');
  if (option !== undefined) {
    const problem = argumentProblem(new Error(`Unknown option '${option}'`), ['help', 'json']);
    stderr.write(`penstock schema: ${problem}\n\n${HELP}`);
    return USAGE_ERROR;
  }
  const [name = '', ...others] = args.filter(arg => arg !== '--json'); // it is JSON anyway
  const known = NAMES.find(each => each === name);
  if (known === undefined || others.length > 0) {
    const nearest = nearestOf(name, NAMES);
    stderr.write(
      `penstock schema: which, gateway or routes?${nearest === undefined ? '' : ` Did you mean ${nearest}?`}\n\n${HELP}`,
    );
    return USAGE_ERROR;
  }
  stdout.write(`${JSON.stringify(jsonSchemaOf(known), null, 2)}\n`);
  return 0;
}
