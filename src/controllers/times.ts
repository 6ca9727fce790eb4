/** Times as the API writes them. */
export const isoTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

/** With microseconds, as Lease and MicroTime have them. */
export const isoMicroTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

export const msOf = (time: string): number => Date.parse(time);
