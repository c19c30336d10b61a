/** Smoothing. Pure. */

/** The exponential moving average without the pull of its start; what is not finite is passed over, and left as it is. */
export function smooth(values: readonly number[], weight: number): number[] {
  let average = 0;
  let bias = 1;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    average = average * weight + (1 - weight) * value;
    bias *= weight;
    return average / (1 - bias);
  });
}
