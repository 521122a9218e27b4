/**
 * The first route of somebody else among those that `ip route show root CIDR` prints; undefined when all go over our leg
 * device.
 */
export function foreignRoute(listed: string, legDevice: string): string | undefined {
  return listed
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line !== '' && !line.split(/\s+/).includes(legDevice))
}
