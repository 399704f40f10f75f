import { z } from 'zod';
import { GatewayFile } from './schema/gateway.ts';
import { RoutesFileShape } from './schema/routes.ts';

/** The files that have a schema. */
export type SchemaName = 'gateway' | 'routes';

/** A JSON Schema, or a part of one. */
export type JsonSchema = Record<string, unknown>;

/** What stands for a value that comes from elsewhere. */
const REFERENCE = '\\$\\{(env|file):';

/** Top-level keys that hold what anchors name. */
const EXTENSIONS: JsonSchema = { '^x-': {} };

/** The JSON Schema of a file, for completion and hints in editors. It accepts what the parser accepts in shape. */
export function jsonSchemaOf(name: SchemaName): JsonSchema {
  const schema: JsonSchema = z.toJSONSchema(name === 'gateway' ? GatewayFile : RoutesFileShape, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => allowReference(jsonSchema as JsonSchema),
  });
  const titled = { ...schema, title: `${name}.yaml of Penstock` };
  return name === 'gateway' ? { ...titled, patternProperties: EXTENSIONS } : allowSpring(titled);
}

/** A number, a switch or a word may come as `${env:NAME}`: text, then. */
function allowReference(schema: JsonSchema): void {
  const { type, pattern } = schema;
  if (type === 'integer' || type === 'boolean') {
    Object.assign(schema, { type: [type, 'string'], pattern: REFERENCE });
    if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
  } else if (type === 'string' && Array.isArray(schema['enum'])) {
    const { enum: words } = schema;
    delete schema['enum'];
    Object.assign(schema, { anyOf: [{ enum: words }, { pattern: REFERENCE }] });
  } else if (type === 'string' && typeof pattern === 'string') {
    schema['pattern'] = `(${pattern})|${REFERENCE}`;
  }
}

/** A file for Spring Cloud Gateway has other software's keys beside `spring:`; any other file has none but ours. */
function allowSpring(schema: JsonSchema): JsonSchema {
  const { properties, ...rest } = schema;
  delete rest['additionalProperties'];
  const own = properties as JsonSchema;
  const known = [...Object.keys(own), 'defaultFilters'];
  return {
    ...rest,
    properties: {
      ...own,
      defaultFilters: own['default-filters'],
      spring: { type: 'object', description: 'A file written for Spring Cloud Gateway: spring.cloud.gateway.routes.' },
    },
    patternProperties: { '^spring\\.': {}, ...EXTENSIONS },
    if: { not: { anyOf: [{ required: ['spring'] }, { minProperties: 1, propertyNames: { pattern: '^spring\\.' } }] } },
    then: { propertyNames: { anyOf: [{ enum: known }, { pattern: '^(spring\\.|x-)' }] } },
  };
}
