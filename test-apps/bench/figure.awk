# Three digits of a figure, in thousands or millions where it is large
#
# SPDX-License-Identifier: MIT

function figure(x)
{
	if (x == "")
		return ""
	if (x >= 1e6)
		return sprintf("%.2f M", x / 1e6)
	if (x >= 1e4)
		return sprintf("%.1f k", x / 1e3)

	return x >= 1e3 ? sprintf("%.0f", x) : sprintf("%.3g", x)
}
