// @ts-check
// Weights of a recording as they are sent: one byte a weight.

const SQUARES = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);

/**
 * Weights from their bytes: the square of byte / 255.
 * @param {Uint8Array} bytes
 */
export function weightsOf(bytes) {
  const weights = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) weights[i] = SQUARES[bytes[i]];
  return weights;
}
