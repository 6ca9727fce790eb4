import { limitRanges } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const limitRangeKind = defineKind(limitRanges, {
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
