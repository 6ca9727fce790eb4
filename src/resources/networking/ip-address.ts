import { ipAddresses } from '#kube/refs.ts';
import { defineKind } from '../define.ts';

export const ipAddressKind = defineKind(ipAddresses);
