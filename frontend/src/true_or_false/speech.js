// @ts-check
// What is said in words.

export const CLEAR = "Clear my answers";
export const WHERE_KEPT = "Kept in this browser and in a small file on this computer, and sent nowhere.";

/**
 * Beside an answered statement: not whether the answer is right, but where it will be seen.
 * @param {string} lesson
 */
export const settledIn = (lesson) => `Lesson ${lesson} settles it.`;

/**
 * @param {number} count
 * @param {number} all
 */
export const progress = (count, all) => `${count} of ${all} answered`;
