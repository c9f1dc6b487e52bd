/* Vectors of floats, as long as the instruction set has them. Private. */
#ifndef TTT_CPU_VEC_H
#define TTT_CPU_VEC_H
#include "kernels/cpu/cpu.h"

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The sum of a vector: halves are added to halves. */
static inline __attribute__((always_inline)) float
ttt__sum_of(vec v)
{
#if defined(__AVX512F__)
	v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
	v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
	v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#elif defined(__AVX2__)
	v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
	v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
#else
	v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
#endif
	return v[0] + v[1];
}

#endif
