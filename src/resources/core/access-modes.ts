const short: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

/** `RWO,ROX`: access modes as tables show them, in upstream's order. */
export const accessModesText = (modes: readonly string[] | undefined): string =>
  Object.keys(short)
    .filter((mode) => modes?.includes(mode) === true)
    .map((mode) => short[mode])
    .join(',');
