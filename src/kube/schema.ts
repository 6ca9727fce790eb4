/**
 * The one description of what an object may hold. Built-in kinds get theirs from build/generate.ts, custom resources
 * from their CustomResourceDefinition; defaults, pruning, validation, patches, server-side apply, `kubectl explain`
 * and OpenAPI are all driven by it.
 */

/** An amount such as "100m" or "1Gi"; clients may also send a bare number. */
export type Quantity = string | number;

/** An object whose fields no schema knows. */
export interface RawObject {
  readonly [field: string]: unknown;
}

export interface Schema {
  /** Absent: any JSON value, or the type of what `ref` names. */
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  /**
   * int32, int64, double, byte (base64), date-time, micro-time, duration, quantity, int-or-string, raw, json, fields-v1,
   * json-schema-or-array, json-schema-or-bool, json-schema-or-string-array; in custom resources also OpenAPI's own.
   */
  readonly format?: string;
  /** The named Go type of a value that is no struct, such as v1.Protocol: type errors show it. */
  readonly goType?: string;
  /**
   * On the root schema of a custom resource: what is below was declared by a CustomResourceDefinition, so zero values
   * are kept and wrong types are left for validation to report.
   */
  readonly custom?: boolean;
  /** The name of another definition, e.g. io.k8s.api.core.v1.PodSpec. The keys beside it describe this use of it. */
  readonly ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly preserveUnknownFields?: boolean;
  readonly embeddedResource?: boolean;
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  /** Strategic merge: 'merge', 'retainKeys', 'replace', or several. */
  readonly patchStrategy?: readonly string[];
  readonly patchMergeKey?: string;
  /** Path of protobuf field numbers; longer than one where Go embeds a struct (Volume.emptyDir is [2, 2]). */
  readonly proto?: readonly number[];
  /** The Go field is a pointer: its zero value is kept and sent. */
  readonly pointer?: boolean;
  /** The Go field has omitempty. */
  readonly omitEmpty?: boolean;
  /** Set on the definitions that are kinds. */
  readonly gvk?: { readonly group: string; readonly version: string; readonly kind: string };
  readonly description?: string;
  /** Custom resources only: the remaining OpenAPI v3 validations. */
  readonly validations?: SchemaValidations;
}

const typeText: Schema = { type: 'string' };
const objectMeta: Schema = { ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' };

/**
 * The declared fields of a schema. Custom resources and the objects embedded in them have apiVersion, kind and metadata whether
 * declared or not, and metadata is always ObjectMeta (apiextensions' controller/openapi/builder).
 */
export function fieldsOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  if (schema.custom !== true && schema.embeddedResource !== true) return schema.properties;
  return { apiVersion: typeText, kind: typeText, ...schema.properties, metadata: objectMeta };
}

/** Gives the definition that a `ref` names. Throws for a name that does not exist. */
export type Resolve = (ref: string) => Schema;

export interface SchemaValidations {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
  readonly rules?: readonly ValidationRule[];
}

/** One entry of x-kubernetes-validations. */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}
