import { expect, test } from 'vitest';
import { encodeStored, parseServed, presentStored } from './view.ts';

const managedFields = [{ manager: 'kubectl', operation: 'Update', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': { 'f:a': {} } } }];
const stored = {
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: { name: 'm', labels: { a: 'b' }, managedFields },
  data: { a: '"managedFields":[' },
};
const served = presentStored(encodeStored(stored), 7);
const whole = { ...stored, metadata: { resourceVersion: '7', ...stored.metadata } };

test('a parsed object has its managedFields whether it is read, copied, cloned or printed', () => {
  const object = parseServed(served) as typeof whole;
  expect(object.metadata.managedFields).toEqual(managedFields);
  expect({ ...object.metadata }).toEqual(whole.metadata);
  expect(structuredClone(object)).toEqual(whole);
  expect(JSON.parse(JSON.stringify(object))).toEqual(whole);
});

test('copies and clones hold plain values that can be changed', () => {
  const clone = structuredClone(parseServed(served)) as typeof whole;
  clone.metadata.managedFields = [];
  expect(clone.metadata.managedFields).toEqual([]);
});

test('a parsed object is frozen through and through, managedFields too', () => {
  const object = parseServed(served) as typeof whole;
  expect(Object.isFrozen(object.metadata)).toBe(true);
  expect(Object.isFrozen(object.metadata.labels)).toBe(true);
  expect(Object.isFrozen(object.metadata.managedFields[0]?.fieldsV1['f:data'])).toBe(true);
  expect(Object.isFrozen(object.data)).toBe(true);
});

test('an object without managedFields has no such member', () => {
  const { managedFields: _, ...metadata } = stored.metadata;
  const object = parseServed(presentStored(encodeStored({ ...stored, metadata }), 7)) as typeof whole;
  expect('managedFields' in object.metadata).toBe(false);
});
