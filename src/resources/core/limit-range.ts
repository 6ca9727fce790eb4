import { limitRanges } from '#kube/refs.ts';
import { defineKind } from '../define.ts';
import { validateLimitRange } from './limits-validation.ts';

export const limitRangeKind = defineKind(limitRanges, {
  validate: validateLimitRange,
  createOnUpdate: true,
  defaults: (object) => {
    for (const item of object.spec?.limits ?? []) {
      if (item.type !== 'Container') continue;
      const limits = { ...item.max, ...item.default };
      const requests = { ...item.min, ...limits, ...item.defaultRequest };
      if (Object.keys(limits).length > 0) item.default = limits;
      if (Object.keys(requests).length > 0) item.defaultRequest = requests;
    }
  },
});
