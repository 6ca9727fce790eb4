/**
 * How dear the rules of a definition may be, judged when it is written (apiextensions-apiserver pkg/apis/apiextensions/validation:
 * StaticEstimatedCostLimit, CELSchemaContext): what one rule may cost in all the places where its value may stand in one object, and what
 * all rules of a schema may cost together.
 */
import type { CelNode } from './cel-ast.ts';
import { estimateCost } from './cel-estimate.ts';
import { endless } from './cel-figures.ts';
import { maxCardinality, type Sized } from './cel-sizes.ts';
import type { Schema } from './schema.ts';
import type { FieldError } from './status-error.ts';
import { fieldForbidden } from './validation/field-error.ts';

const ruleLimit = 10_000_000;
const schemaLimit = 100_000_000;
/** The dearest rules are named where all together are too dear; those that hardly add to that are not. */
const named = 4;
const notable = schemaLimit / 100;

/** Upstream's text for a cost beyond its limit. */
export function tooDearMessage(what: string, cost: number, limit: number): string {
  const factor = cost / limit;
  const shown = factor > 100 ? 'more than 100x' : `${factor < 1.5 ? factor.toFixed(6) : factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}

/** How often a value may stand in one object; undefined: there is no limit. */
export type Cardinality = number | undefined;

/** How often what is directly below a value of a schema may stand in an object. */
export function cardinalityBelow(schema: Schema, around: Cardinality): Cardinality {
  if (around === undefined) return undefined;
  const { type, additionalProperties, validations } = schema;
  let each: Cardinality = 1;
  if (type === 'array') each = validations?.maxItems;
  else if (type === 'object' && additionalProperties !== undefined) each = validations?.maxProperties;
  return each === undefined ? undefined : Math.min(endless, around * Math.max(0, each));
}

/** Adds up what the expressions of one schema may cost. */
export interface CostBook {
  /** Judges an expression on values of a size: what is wrong with it. `times`: how often it may run for one object; 1 for messages. */
  readonly judge: (what: 'rule' | 'messageExpression', field: string, root: CelNode, self: Sized, times?: Cardinality) => FieldError[];
  /** What is wrong with all of them together. `field`: of the whole schema. */
  readonly total: (field: string) => FieldError[];
}

/** How often a rule on values of a size may run for one object. */
export const timesOf = (self: Sized, cardinality: Cardinality): number => cardinality ?? maxCardinality(self);

export function createCostBook(): CostBook {
  let sum = 0;
  let dearest: { readonly field: string; readonly cost: number }[] = [];
  return {
    judge: (what, field, root, self, times = 1) => {
      const cost = Math.min(endless, estimateCost(root, self).max * times);
      sum += cost;
      if (cost >= notable) dearest = [...dearest, { field, cost }].sort((a, b) => b.cost - a.cost).slice(0, named);
      return cost > ruleLimit ? [fieldForbidden(field, tooDearMessage(`estimated ${what} cost`, cost, ruleLimit))] : [];
    },
    total: (field) => {
      if (sum <= schemaLimit) return [];
      const why = 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema';
      const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema';
      return [...dearest.map((d) => fieldForbidden(d.field, why)), fieldForbidden(field, tooDearMessage(what, sum, schemaLimit))];
    },
  };
}
