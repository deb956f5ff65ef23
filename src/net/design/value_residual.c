/* net/design/value_residual.c
 * Value residual: Pre-LN whose attention mixes the first layer's values into its own: v_l <- (v_1 + v_l) / 2. A skip connection
 * for values, from the first layer to every later one.
 * Package   pre norm, value_residual half (learned: two scalars per layer that start at 1/2)
 * Source    Zhou et al. 2024, arXiv:2410.17897 */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->final_norm = true;
    p->inside.value_residual = "half";
    return AN_OK;
}

static const char *const VARIANTS[] = { "value_residual=learned", NULL };

const an_design an_design_value_residual = { .name = "value-residual", .formula = "x <- x + F(N(x)), v_l <- (v_1 + v_l) / 2", .source = "arXiv:2410.17897", .parameters = "none; learned: 2 per layer",
    .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The key `value_residual` adds it to every other design. The first layer has nothing to mix; values are mixed before they are split into heads." };
