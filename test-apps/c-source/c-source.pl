# C as our tools look at it: as tokens, so that neither a comment nor how a line
# is wrapped makes a difference; and by function.  For mutants, coverage, structure
# and messages.
#
# A pattern is C.  It is compared token by token; adjacent strings are one, as
# they are to a compiler.  In a pattern
#
#   ...    stands for any tokens, in which brackets are balanced; as few as will
#          do, or none
#   "..."  stands for any string
#
# A function is what our style makes it: its name and arguments, then { and } in
# the first column.
#
# SPDX-License-Identifier: MIT

use strict;
use warnings;

my $token = qr{
	  "(?:[^"\\\n]|\\.)*"
	| '(?:[^'\\\n]|\\.)*'
	| \.?[0-9](?:[eEpP][+-]|[\w.])*
	| \w+
	| \.\.\. | <<= | >>=
	| -> | \+\+ | -- | << | >> | && | \|\| | [-+*/%&|^<>=!]=
	| \S
}xs;

# The tokens of a text: { text, line, last_line, from, to }, the last two as
# offsets.
sub c_tokens
{
	my ($text) = @_;
	my ($line, @tokens) = (1);

	while ($text =~ m{\G(?:(\s+|/\*.*?\*/|//[^\n]*|\\\n)|($token))}gcs) {
		my ($piece, $from, $to) = ($1 // $2, $-[0], $+[0]);
		my $last_line = $line + ($piece =~ tr/\n//);

		if (defined $2) {
			my $before = $tokens[-1];

			if ($piece =~ /^"/ && $before &&
			    $before->{text} =~ /^"/) {
				chop $before->{text};
				$before->{text} .= substr $piece, 1;
				$before->{to} = $to;
				$before->{last_line} = $last_line;
			} else {
				push @tokens, { text => $piece,
					line => $line, last_line => $last_line,
					from => $from, to => $to };
			}
		}
		$line = $last_line;
	}

	return \@tokens;
}

# The functions among the tokens: { name, first, last, line, last_line }, first
# and last as indices of tokens, from the name to the }.
sub c_functions
{
	my ($text, $tokens) = @_;
	my ($first, @functions);

	my $in_column_one = sub {
		my ($from) = @_;

		return !$from || substr($text, $from - 1, 1) eq "\n";
	};
	for my $n (0 .. $#$tokens) {
		my $t = $tokens->[$n];

		if ($t->{text} eq '(' && $n &&
		    $tokens->[$n - 1]{text} =~ /^[a-z_]\w*$/i &&
		    $in_column_one->($tokens->[$n - 1]{from})) {
			$first = $n - 1;
		} elsif (defined $first && $t->{text} eq '}' &&
			 $in_column_one->($t->{from})) {
			push @functions, { name => $tokens->[$first]{text},
				first => $first, last => $n,
				line => $tokens->[$first]{line},
				last_line => $t->{line} };
			undef $first;
		} elsif (defined $first && $t->{text} eq ';' &&
			 !grep { $_->{text} eq '{' }
				@$tokens[$first .. $n]) {
			undef $first;	# it was declared only
		}
	}

	return @functions;
}

sub c_text
{
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!\n";
	local $/;

	return <$in>;
}

# A file of C: { file, text, tokens, functions }
sub c_read
{
	my ($file) = @_;
	my $text = c_text($file);
	my $tokens = c_tokens($text);

	return { file => $file, text => $text, tokens => $tokens,
		 functions => [c_functions($text, $tokens)] };
}

# c_match(tokens, at, last, pattern): whether the pattern is there, from token
# `at` and up to `last` at the most; then the index after it and, for each ...,
# the first token that it stands for and the one after the last.
sub c_match
{
	my ($tokens, $at, $last, $pattern, $in) = @_;

	for ($in //= 0; $in < @$pattern; $in++, $at++) {
		my $want = $pattern->[$in]{text};

		if ($want eq '...') {
			my $depth = 0;

			for (my $end = $at; ; $end++) {
				my @rest = $depth ? () :
					c_match($tokens, $end, $last, $pattern,
						$in + 1);

				return $rest[0], [$at, $end], @rest[1 .. $#rest]
					if @rest;
				return if $end > $last;
				$depth++ if $tokens->[$end]{text} =~ /^[({[]$/;
				$depth-- if $tokens->[$end]{text} =~ /^[)}\]]$/;
				return if $depth < 0;
			}
		}
		return if $at > $last;
		my $is = $tokens->[$at]{text};
		return unless $is eq $want ||
			      ($want eq '"..."' && $is =~ /^"/);
	}

	return ($at);
}

# c_find(sources, where, pattern): each place of a pattern, a text, in the
# functions of the name `where`, or in a file of that name: { source, first,
# last, wild }, as indices of tokens.  Dies if there is no such function or file.
sub c_find
{
	my ($sources, $where, $text) = @_;
	my $pattern = c_tokens($text);
	my ($known, @found);

	die "an empty pattern\n" unless @$pattern;
	die "... at an end of: $text\n"
		if grep { $_->{text} eq '...' } @$pattern[0, -1];
	for my $source (@$sources) {
		my @ranges = map { [$_->{first}, $_->{last}] }
			grep { $_->{name} eq $where } @{$source->{functions}};

		@ranges = ([0, $#{$source->{tokens}}])
			if $source->{file} =~ m{(^|/)\Q$where\E$};
		for my $range (@ranges) {
			$known = 1;
			for my $at ($range->[0] .. $range->[1]) {
				my ($end, @wild) = c_match($source->{tokens},
					$at, $range->[1], $pattern);

				push @found, { source => $source, first => $at,
					last => $end - 1, wild => \@wild }
					if defined $end;
			}
		}
	}
	die "no function or file $where\n" unless $known;

	return @found;
}

1;
