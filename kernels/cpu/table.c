/* One instruction set's table. */
#include "kernels/cpu/cpu.h"

void
ISA(ttt__cpu_table)(struct ttt__cpu *c)
{
	struct ttt__ops *o = &c->ops;

	c->gemm_one = ISA(ttt__cpu_gemm_one);
	c->gemm_one_bf16 = ISA(ttt__cpu_gemm_one_bf16);
	ISA(ttt__cpu_elementwise)(o);
	ISA(ttt__cpu_rows)(o);
	ISA(ttt__cpu_rmsnorm)(o);
	ISA(ttt__cpu_rope)(o);
	ISA(ttt__cpu_attention)(o);
	ISA(ttt__cpu_swiglu)(o);
	ISA(ttt__cpu_softmax)(o);
}
