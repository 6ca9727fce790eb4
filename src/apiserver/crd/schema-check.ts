/** All that is wrong with a schema in a CustomResourceDefinition: validateCustomResourceDefinitionValidation of pkg/apis/apiextensions/validation. */
import type { Cel } from '#kube/cel.ts';
import { ruleErrors } from '#kube/cel-rules.ts';
import type { JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import { definition } from '#kube/schema-registry.ts';
import type { FieldError } from '#kube/status-error.ts';
import { defaultErrors } from './defaults.ts';
import { isConvertible, openApiErrors } from './openapi-rules.ts';
import { customSchema } from './schema.ts';
import { structuralErrors } from './structural.ts';

/** What is wrong with a schema: rules are compiled where all else is right. */
export function schemaErrors(schema: JSONSchemaProps, path: string, cel: () => Cel): readonly FieldError[] {
  const general = openApiErrors(schema, path);
  if (!isConvertible(general)) return general;
  const structural = structuralErrors(schema, path);
  if (structural.length > 0) return [...structural, ...general];
  const defaults = defaultErrors(customSchema(schema, false), path);
  if (defaults.length > 0 || general.length > 0) return [...defaults, ...general];
  return rulesErrors(schema, path, cel);
}

/** CEL rules that do not compile, or may cost too much. */
function rulesErrors(props: JSONSchemaProps, path: string, cel: () => Cel): readonly FieldError[] {
  if (!JSON.stringify(props).includes('x-kubernetes-validations')) return [];
  return ruleErrors(cel(), customSchema(props, false), (name) => definition(name) ?? {}, path);
}
